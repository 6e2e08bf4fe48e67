//! What is being done for each job: which requests to the model are open, how often each was asked, and
//! how far the job has come.
//!
//! The meter of costs is asked before each request and told of its end, so a meter around it sees
//! every request without the stack knowing of jobs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use testsmith_control::{CallStage, JobPhase, OpenCall, Timestamp};
use testsmith_domain::{
    BoxFuture, Job, OutOfBudget, PlannedRequest, RequestMeter, Reservation, Spent,
};

tokio::task_local! {
    /// The job whose work is done.
    static JOB: (u64, Calls);
}

/// The requests that are open or about to be. Cheap to clone; all clones see the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Calls(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    next: u64,
    calls: BTreeMap<u64, OpenCall>,
    /// By job, with the moment it began.
    phases: BTreeMap<u64, (JobPhase, Timestamp)>,
    last_answer: Option<Timestamp>,
}

/// Forgets a job's calls when its run is over, however that comes about.
struct OfJob {
    job_id: u64,
    calls: Calls,
}

impl Calls {
    /// Those that are open now, the oldest first.
    pub(crate) fn list(&self) -> Vec<OpenCall> {
        self.state().calls.values().cloned().collect()
    }

    /// What is being done for a job, and since when; `None` if it has only begun.
    pub(crate) fn phase(&self, job_id: u64) -> Option<(JobPhase, Timestamp)> {
        self.state().phases.get(&job_id).copied()
    }

    /// When a request was last answered.
    pub(crate) fn last_answer(&self) -> Option<Timestamp> {
        self.state().last_answer
    }

    /// Requests that `work` sends count as this job's.
    pub(crate) async fn of_job<F: Future>(&self, job: &Job, work: F) -> F::Output {
        let _forget = OfJob {
            job_id: job.id.0,
            calls: self.clone(),
        };
        JOB.scope((job.id.0, self.clone()), work).await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request is about to be sent; gives its number.
    fn begin(&self, job_id: u64, begins_call: bool) -> u64 {
        let mut state = self.state();
        let failed = (!begins_call)
            .then(|| {
                let mut calls = state.calls.iter();
                calls.find_map(|(number, call)| {
                    let fits = call.job_id == job_id && call.stage == CallStage::BackingOff;
                    fits.then_some(*number)
                })
            })
            .flatten();
        let earlier = failed.and_then(|number| state.calls.remove(&number));
        state.next += 1;
        let number = state.next;
        let call = OpenCall {
            job_id,
            attempt: earlier.map_or(1, |call| call.attempt.saturating_add(1)),
            stage: CallStage::Queued,
            since: Timestamp::now(),
        };
        state.calls.insert(number, call);
        number
    }

    fn enter(&self, number: u64, stage: CallStage) {
        if let Some(call) = self.state().calls.get_mut(&number) {
            call.stage = stage;
            call.since = Timestamp::now();
        }
    }

    fn end(&self, number: u64) {
        self.state().calls.remove(&number);
    }
}

impl Drop for OfJob {
    fn drop(&mut self) {
        let job_id = self.job_id;
        let mut state = self.calls.state();
        state.calls.retain(|_, call| call.job_id != job_id);
        state.phases.remove(&job_id);
    }
}

/// Notes what is done from now on for the job that is worked on, if one is.
pub(crate) fn enter(phase: JobPhase) {
    // Outside of a job, as for a preview, there is nobody to show it for.
    let _ = JOB.try_with(|(job_id, calls)| {
        let mut state = calls.state();
        state.phases.insert(*job_id, (phase, Timestamp::now()));
    });
}

/// A meter that notes what is open, around the one that counts.
#[derive(Debug)]
pub(crate) struct Noting<M>(pub(crate) M);

impl<M: RequestMeter> RequestMeter for Noting<M> {
    fn reserve<'a>(
        &'a self,
        request: PlannedRequest<'a>,
    ) -> BoxFuture<'a, Result<Box<dyn Reservation>, OutOfBudget>> {
        Box::pin(async move {
            // Without a job, as for a probe, there is nobody to show it for.
            let Ok((job_id, calls)) = JOB.try_with(Clone::clone) else {
                return self.0.reserve(request).await;
            };
            let mut noted = Noted {
                number: calls.begin(job_id, request.begins_call),
                calls,
                inner: None,
            };
            noted.inner = Some(self.0.reserve(request).await?);
            Ok(Box::new(noted) as Box<dyn Reservation>)
        })
    }
}

/// A request that is noted until this is dropped, or until the job's end if it failed: it may be
/// asked again.
struct Noted {
    number: u64,
    calls: Calls,
    inner: Option<Box<dyn Reservation>>,
}

impl Reservation for Noted {
    fn sent(&mut self) {
        self.calls.enter(self.number, CallStage::Sent);
        if let Some(inner) = &mut self.inner {
            inner.sent();
        }
    }

    fn settle(mut self: Box<Self>, spent: Spent) {
        if matches!(spent, Spent::Used(_)) {
            self.calls.state().last_answer = Some(Timestamp::now());
        } else {
            self.calls.enter(self.number, CallStage::BackingOff);
            // From now on the job's end forgets it.
            self.number = 0;
        }
        if let Some(inner) = self.inner.take() {
            inner.settle(spent);
        }
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        self.calls.end(self.number);
    }
}

impl fmt::Debug for Noted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Noted")
            .field("number", &self.number)
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use testsmith_domain::{ModelIdentity, Usage};

    use super::*;

    #[derive(Debug)]
    struct Free;

    impl RequestMeter for Free {
        fn reserve<'a>(
            &'a self,
            _: PlannedRequest<'a>,
        ) -> BoxFuture<'a, Result<Box<dyn Reservation>, OutOfBudget>> {
            Box::pin(async { Ok(Box::new(Free) as Box<dyn Reservation>) })
        }
    }

    impl Reservation for Free {
        fn sent(&mut self) {}
        fn settle(self: Box<Self>, _: Spent) {}
    }

    fn shown(calls: &Calls) -> Vec<(u64, u32, CallStage)> {
        let calls = calls.list().into_iter();
        calls
            .map(|call| (call.job_id, call.attempt, call.stage))
            .collect()
    }

    #[tokio::test]
    async fn attempts_and_stages_are_noted_until_the_job_ends() {
        let calls = Calls::default();
        let meter = Noting(Free);
        let model = ModelIdentity {
            provider: "p".into(),
            model: "m".into(),
            temperature: 0.0,
        };
        let planned = |begins_call| PlannedRequest {
            model: &model,
            is_free: true,
            prompt_tokens: 1,
            output_tokens: 1,
            begins_call,
        };
        let work = async {
            assert_eq!(calls.phase(7), None);
            enter(JobPhase::Asking);
            assert_eq!(calls.phase(7).unwrap().0, JobPhase::Asking);
            let mut first = meter.reserve(planned(true)).await.unwrap();
            assert_eq!(shown(&calls), [(7, 1, CallStage::Queued)]);
            first.sent();
            assert_eq!(shown(&calls), [(7, 1, CallStage::Sent)]);
            first.settle(Spent::Unknown);
            assert_eq!(shown(&calls), [(7, 1, CallStage::BackingOff)]);
            let mut again = meter.reserve(planned(false)).await.unwrap();
            again.sent();
            assert_eq!(shown(&calls), [(7, 2, CallStage::Sent)]);
            assert_eq!(calls.last_answer(), None);
            again.settle(Spent::Used(Usage::default()));
            assert_eq!(shown(&calls), []);
            assert!(calls.last_answer().is_some(), "before the job's end");
            drop(meter.reserve(planned(true)).await.unwrap());
            assert_eq!(shown(&calls), []);
            let failed = meter.reserve(planned(true)).await.unwrap();
            failed.settle(Spent::Nothing);
            assert_eq!(shown(&calls), [(7, 1, CallStage::BackingOff)]);
        };
        let forget = OfJob {
            job_id: 7,
            calls: calls.clone(),
        };
        JOB.scope((7, calls.clone()), work).await;
        drop(forget);
        assert_eq!(shown(&calls), []);
        assert_eq!(calls.phase(7), None);
    }
}
