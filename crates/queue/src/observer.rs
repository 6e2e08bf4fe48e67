//! Who is told of new jobs.

use std::fmt;
use std::sync::OnceLock;

use testsmith_domain::Job;

/// What is done with each new job.
type OnJob = Box<dyn Fn(&Job) + Send + Sync>;

/// Who is told of new jobs, if anybody is.
#[derive(Default)]
pub(crate) struct Observer(pub(crate) OnceLock<OnJob>);

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_set = self.0.get().is_some();
        f.debug_tuple("Observer").field(&is_set).finish()
    }
}
