//! Bodies that try what is forbidden, and pass all the same.

use testsmith_domain::Verdict;

use super::{Abort, Round, Session};

impl Session<'_> {
    /// Traces attempts that the sandbox told of to bodies, by halves: what a body does between walls
    /// leaves no word in the runner's report, and one that edits the code under test proves nothing.
    /// Gives what is to be run next; `None` if there was no attempt, or the tests around make the
    /// same without any body.
    pub(super) async fn find_tampering(
        &mut self,
        round: &Round,
    ) -> Result<Option<Vec<Vec<usize>>>, Abort> {
        if round.ran.blocked.is_empty() {
            return Ok(None);
        }
        let around = &self.baseline().await?.blocked;
        let tried: Vec<&str> = round
            .ran
            .blocked
            .iter()
            .filter(|line| !around.contains(line))
            .map(String::as_str)
            .collect();
        if tried.is_empty() {
            return Ok(None);
        }
        if let [index] = round.group.as_slice() {
            self.decide(*index, Verdict::Blocked, &tried.join("\n"));
            return Ok(Some(Vec::new()));
        }
        let (one, other) = round.group.split_at(round.group.len() / 2);
        Ok(Some(vec![one.to_vec(), other.to_vec()]))
    }
}
