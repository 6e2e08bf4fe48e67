//! How many of each there are, for `status`.

use testsmith_control::{OutdatedTest, TestsInfo};
use testsmith_domain::{FindingState, LedgerEntry};
use testsmith_queue::{Queue, QueueError};

/// Counts what of all tests is worth a look. Reads the whole ledger.
pub(crate) async fn tally(queue: &Queue) -> Result<TestsInfo, QueueError> {
    let counted = queue.fold_ledgers(TestsInfo::default(), |tests, _, entry| add(tests, entry));
    counted.await
}

fn add(tests: &mut TestsInfo, entry: LedgerEntry) {
    tests.proposed += entry.proposals.len() as u64;
    for (member, block) in entry.blocks {
        let open = block.findings.iter();
        let open = open.filter(|finding| finding.state == FindingState::Open);
        tests.findings += open.count() as u64;
        tests.quarantined += u64::from(block.quarantine.is_some());
        tests.unverified += u64::from(block.unverified.is_some());
        if block.outdated.is_some() {
            tests.outdated.push(OutdatedTest {
                test_path: entry.test_path.clone(),
                member,
            });
        }
    }
}
