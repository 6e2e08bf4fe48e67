//! What verification found out about a file's bodies.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use testsmith_domain::{Finding, MemberName, Quarantined};

use crate::report::{Outcome, WaitsOn};
use crate::service::{BUILD_REASON, RUN_REASON, TOOLCHAIN_REASON};

/// What came of running a file's bodies. Those that hold are in the file's result.
#[derive(Debug, Default)]
pub(crate) struct Trial {
    /// Members whose bodies could not be run and are written all the same, and why.
    pub(crate) unverified: BTreeMap<MemberName, String>,
    /// Members whose bodies could not be run and are not written, and why.
    pub(crate) kept_back: BTreeMap<MemberName, String>,
    /// What these wait for, if it is not a toolchain.
    pub(crate) delay: Option<Delay>,
    /// Bodies that did not hold.
    pub(crate) quarantined: BTreeMap<MemberName, Quarantined>,
    /// Tests that fail in each run, in an assertion.
    pub(crate) findings: BTreeMap<MemberName, Vec<Finding>>,
    /// Members whose blocks in the tree do not hold any more, with nothing to take their place.
    pub(crate) stale: BTreeSet<MemberName>,
    /// Bodies that ran and held, and those that did not.
    pub(crate) passed: u32,
    /// Runs of the toolchain, and the time they took.
    pub(crate) runs: u32,
    pub(crate) elapsed: Duration,
}

/// What keeps bodies from being run that will not stay so, so that they are not written meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delay {
    /// The project does not build.
    Project,
    /// Runs cannot be made just now.
    Run,
}

/// A member whose test is not in the tree since it did not hold.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct HeldBack {
    /// The member.
    pub member: MemberName,
    /// What became of its test, for people.
    pub why: String,
    /// Whether that is a finding.
    pub is_finding: bool,
}

/// How long a job waits for a project that does not build, unless the project changes before that.
const BUILD_WAIT: Duration = Duration::from_mins(10);

/// The same if it has changed while the job ran.
const CHANGE_WAIT: Duration = Duration::from_secs(1);
/// How long a job waits until a run is tried again that could not be made.
const RUN_WAIT: Duration = Duration::from_mins(1);

impl Trial {
    /// How the job ends if bodies could not be run and are not written. If the project has changed
    /// since the job began, it may build now.
    pub(crate) fn waits(&self, has_changed: bool) -> Option<Outcome> {
        let (member, why) = self.kept_back.first_key_value()?;
        let others = match self.kept_back.len() {
            1 => String::new(),
            more => format!(" and {} more", more - 1),
        };
        let reason = |waits_for: &str| format!("{waits_for}`{member}`{others}: {why}");
        Some(match self.delay {
            Some(Delay::Project) => Outcome::Waiting {
                until: SystemTime::now() + if has_changed { CHANGE_WAIT } else { BUILD_WAIT },
                reason: reason(BUILD_REASON),
                on: WaitsOn::Project,
            },
            Some(Delay::Run) => Outcome::Waiting {
                until: SystemTime::now() + RUN_WAIT,
                reason: reason(RUN_REASON),
                on: WaitsOn::Sandbox,
            },
            None => Outcome::Parked {
                reason: reason(TOOLCHAIN_REASON),
            },
        })
    }

    /// Whether bodies wait for the project to build.
    pub(crate) fn waits_for_project(&self) -> bool {
        self.delay == Some(Delay::Project)
    }

    /// Whether there was nothing to run some bodies with.
    pub(crate) fn lacks_toolchain(&self) -> bool {
        !self.unverified.is_empty() || !self.kept_back.is_empty() && self.delay.is_none()
    }

    /// What was kept out of the tree in this run.
    pub(crate) fn held_back(&self) -> Vec<HeldBack> {
        let findings = self.findings.iter().flat_map(|(member, findings)| {
            findings.iter().map(|finding| HeldBack {
                member: member.clone(),
                why: format!(
                    "finding {}: `{}` fails in each run",
                    finding.id, finding.test
                ),
                is_finding: true,
            })
        });
        let quarantined = self
            .quarantined
            .iter()
            .map(|(member, quarantined)| HeldBack {
                member: member.clone(),
                why: format!("in quarantine: {}", quarantined.verdict),
                is_finding: false,
            });
        findings.chain(quarantined).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_run_just_now_is_tried_again_in_a_minute() {
        let mut trial = Trial::default();
        let member = MemberName::from("Add");
        trial.kept_back.insert(member, "no space left".to_owned());
        assert!(matches!(trial.waits(false), Some(Outcome::Parked { .. })));
        assert!(trial.lacks_toolchain());
        trial.delay = Some(Delay::Run);
        assert!(!trial.lacks_toolchain(), "nothing is said of a toolchain");
        let Some(Outcome::Waiting { until, reason, on }) = trial.waits(false) else {
            panic!("it does not wait");
        };
        assert_eq!(reason, "cannot run tests just now: `Add`: no space left");
        assert_eq!(on, WaitsOn::Sandbox);
        assert!(until <= SystemTime::now() + RUN_WAIT);
    }
}
