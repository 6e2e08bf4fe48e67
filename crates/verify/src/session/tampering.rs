//! Bodies that try what is forbidden, or leave an error behind, and pass all the same.

use testsmith_domain::Verdict;

use super::{Abort, Round, Session};

impl Session<'_> {
    /// Traces attempts that the sandbox told of, and errors that no test is told of, to bodies, by halves: what a body does
    /// between walls leaves no word in the runner's report, and one that edits the code under test proves nothing.
    /// Gives what is to be run next; `None` if there was nothing of that kind.
    pub(super) async fn find_tampering(
        &mut self,
        round: &Round,
    ) -> Result<Option<Vec<Vec<usize>>>, Abort> {
        let (verdict, words) = if let Some(tried) = self.tried(round).await? {
            (Verdict::Blocked, tried)
        } else if let Some(said) = self.stray(round).await? {
            (Verdict::Fails, said)
        } else {
            return Ok(None);
        };
        if let [index] = round.group.as_slice() {
            self.decide(*index, verdict, &words);
            return Ok(Some(Vec::new()));
        }
        let (one, other) = round.group.split_at(round.group.len() / 2);
        Ok(Some(vec![one.to_vec(), other.to_vec()]))
    }

    /// What the bodies of a run tried, and the tests around do not try without any body.
    async fn tried(&mut self, round: &Round) -> Result<Option<String>, Abort> {
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
        Ok((!tried.is_empty()).then(|| tried.join("\n")))
    }
}
