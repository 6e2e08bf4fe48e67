//! More changes than there is time for, and changes that make no event.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use crate::harness::{Tree, Watched, again, has, settings};

/// Case 12: one processor, shared with writers that do not wait, and a low priority. Ten thousand files
/// and the lowest one with `TESTSMITH_STORMS=full`.
#[tokio::test]
async fn a_watcher_without_a_processor_of_its_own_finds_everything() {
    let is_full = std::env::var("TESTSMITH_STORMS").is_ok_and(|size| size == "full");
    let (files, nice) = if is_full {
        (10_000, "19")
    } else {
        (1_000, "5")
    };
    let name = "storms::a_watcher_without_a_processor_of_its_own_finds_everything";
    if !has("taskset") || !again(&["taskset", "-c", "0", "nice", "-n", nice], name) {
        return;
    }
    let tree = Tree::new_in("/dev/shm");
    let mut watched = Watched::start(&tree, settings()).await;
    // Four writers, at the priority that is usual, on the same processor.
    let script = "cd \"$1\" && for n in $(seq \"$2\" 4 \"$3\"); do \
                  echo \"x = $n\" > .tmp$n; mv .tmp$n f$n.py; done";
    let last = files.to_string();
    let writers: Vec<_> = (1..=4)
        .map(|first: u32| {
            Command::new("sh")
                .args(["-c", script, "sh"])
                .arg(&tree.root)
                .args([&first.to_string(), &last])
                .spawn()
                .unwrap()
        })
        .collect();
    let written = tokio::task::spawn_blocking(|| {
        for mut writer in writers {
            assert!(writer.wait().unwrap().success());
        }
    });
    let mut told = watched.collect(async { written.await.unwrap() }).await;
    told.batches.extend(watched.settle().await.batches);
    let mut times: BTreeMap<String, u32> = BTreeMap::new();
    for path in told.modified() {
        *times.entry(path).or_default() += 1;
    }
    assert_eq!(times.len(), files);
    assert!(times.values().all(|times| *times == 1), "each once");
    assert_eq!(told.removed(), [""; 0]);
    watched.assert_true();
}

/// Case 18: what is written through a mapping makes no event; the next comparison finds it.
#[tokio::test]
async fn a_write_through_a_mapping_is_found_by_comparing() {
    if !has("python3") {
        return;
    }
    let tree = Tree::new();
    tree.write("a.py", "x = 0\n");
    let mut watched = Watched::start(&tree, settings()).await;
    let program = "import mmap\n\
                   with open('a.py', 'r+b') as file, mmap.mmap(file.fileno(), 0) as memory:\n    \
                   file.close()\n    \
                   memory[4:5] = b'7'\n    \
                   memory.flush()\n";
    let done = Command::new("python3")
        .args(["-c", program])
        .current_dir(&tree.root)
        .status();
    assert!(done.unwrap().success());
    assert_eq!(fs::read_to_string(tree.path("a.py")).unwrap(), "x = 7\n");
    watched.handle.request_rescan();
    let told = watched.settle().await;
    assert_eq!(told.modified(), ["a.py"]);
    assert_eq!(told.work().len(), 1);
    watched.assert_true();
}

/// Case 11, in small: hints are lost again while the tree is compared because of it.
#[tokio::test]
async fn changes_while_the_tree_is_compared_are_found() {
    let tree = Tree::new();
    for number in 0..2_000 {
        tree.write(&format!("d{}/f{number}.py", number % 50), "x = 0\n");
    }
    let mut watched = Watched::start(&tree, settings()).await;
    for round in 1..=5 {
        watched.handle.request_rescan();
        // No wait: the comparison is under way in some of the rounds, and just begins or ends in others.
        for number in (0..2_000).step_by(7) {
            let text = format!("x = {round}\n");
            tree.write(&format!("d{}/f{number}.py", number % 50), &text);
        }
        fs::rename(
            tree.path(&format!("d{round}")),
            tree.path(&format!("new{round}")),
        )
        .unwrap();
        watched.settle().await;
        watched.assert_true();
    }
}
