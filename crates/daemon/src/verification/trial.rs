//! What verification found out about a file's bodies.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use testsmith_domain::{Finding, MemberName, Quarantined};

use crate::report::{Outcome, WaitsOn};
use crate::service::{BUILD_REASON, TOOLCHAIN_REASON};

/// What came of running a file's bodies. Those that hold are in the file's result.
#[derive(Debug, Default)]
pub(crate) struct Trial {
    /// Members whose bodies could not be run and are written all the same, and why.
    pub(crate) unverified: BTreeMap<MemberName, String>,
    /// Members whose bodies could not be run and are not written, and why.
    pub(crate) kept_back: BTreeMap<MemberName, String>,
    /// Whether these wait for the project to build, rather than for a toolchain.
    pub(crate) project_is_broken: bool,
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

/// A member whose test is not in the tree since it did not hold.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct HeldBack {
    /// The member.
    pub member: MemberName,
    /// What became of its test, for people.
    pub why: String,
}

/// How long a job waits for a project that does not build, unless the project changes before that.
const BUILD_WAIT: Duration = Duration::from_mins(10);

/// The same if it has changed while the job ran.
const CHANGE_WAIT: Duration = Duration::from_secs(1);

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
        Some(if self.project_is_broken {
            Outcome::Waiting {
                until: SystemTime::now() + if has_changed { CHANGE_WAIT } else { BUILD_WAIT },
                reason: reason(BUILD_REASON),
                on: WaitsOn::Project,
            }
        } else {
            Outcome::Parked {
                reason: reason(TOOLCHAIN_REASON),
            }
        })
    }

    /// Whether there was nothing to run some bodies with.
    pub(crate) fn lacks_toolchain(&self) -> bool {
        !self.unverified.is_empty() || !self.kept_back.is_empty() && !self.project_is_broken
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
            })
        });
        let quarantined = self
            .quarantined
            .iter()
            .map(|(member, quarantined)| HeldBack {
                member: member.clone(),
                why: format!("in quarantine: {}", quarantined.verdict),
            });
        findings.chain(quarantined).collect()
    }
}
