use proptest::prelude::*;

use super::*;

const QUIET: Duration = Duration::from_millis(500);
const MAX_WAIT: Duration = Duration::from_secs(5);

#[tokio::test(start_paused = true)]
async fn a_key_is_due_after_its_quiet_time_to_the_millisecond() {
    let mut debouncer = Debouncer::new(QUIET, MAX_WAIT);
    let start = Instant::now();
    debouncer.insert("a", start);
    tokio::time::advance(Duration::from_millis(499)).await;
    assert_eq!(debouncer.due(Instant::now()), Vec::<&str>::new());
    assert_eq!(debouncer.next_deadline(), Some(start + QUIET));
    tokio::time::sleep_until(debouncer.next_deadline().unwrap()).await;
    assert_eq!(start.elapsed(), QUIET);
    assert_eq!(debouncer.due(Instant::now()), ["a"]);
    assert_eq!(debouncer.next_deadline(), None);
}

#[tokio::test(start_paused = true)]
async fn constant_writing_is_capped() {
    let mut debouncer = Debouncer::new(QUIET, MAX_WAIT);
    let start = Instant::now();
    let mut released = Vec::new();
    for _ in 0..3_000 {
        debouncer.insert("slow", Instant::now());
        tokio::time::advance(Duration::from_millis(20)).await;
        if !debouncer.due(Instant::now()).is_empty() {
            released.push(start.elapsed());
        }
    }
    // One minute of a byte every 20 ms: every five seconds, and the next write starts anew.
    assert_eq!(released.len(), 12);
    assert_eq!(released.first(), Some(&MAX_WAIT));
}

#[tokio::test(start_paused = true)]
async fn keys_do_not_wait_for_each_other() {
    let mut debouncer = Debouncer::new(QUIET, MAX_WAIT);
    debouncer.insert("a", Instant::now());
    tokio::time::advance(Duration::from_millis(300)).await;
    debouncer.insert("b", Instant::now());
    tokio::time::advance(Duration::from_millis(200)).await;
    assert_eq!(debouncer.due(Instant::now()), ["a"]);
    assert!(debouncer.contains(&"b"));
}

proptest! {
    /// Against the rule itself, evaluated for each key on its own at each step.
    #[test]
    fn it_is_the_rule(steps in prop::collection::vec((0u8..6, 0u64..900), 1..200)) {
        let mut debouncer = Debouncer::new(QUIET, MAX_WAIT);
        let mut model: HashMap<u8, (Instant, Instant)> = HashMap::new();
        let mut now = Instant::now();
        for (key, wait) in steps {
            now += Duration::from_millis(wait);
            let deadline = |(first, last): (Instant, Instant)| {
                (last + QUIET).min(first + MAX_WAIT)
            };
            prop_assert_eq!(
                debouncer.next_deadline(),
                model.values().map(|entry| deadline(*entry)).min()
            );
            let mut expected: Vec<u8> = model
                .iter()
                .filter(|(_, entry)| deadline(**entry) <= now)
                .map(|(key, _)| *key)
                .collect();
            expected.sort_unstable();
            let mut due = debouncer.due(now);
            due.sort_unstable();
            prop_assert_eq!(&due, &expected);
            for key in due {
                model.remove(&key);
            }
            debouncer.insert(key, now);
            model.entry(key).or_insert((now, now)).1 = now;
            prop_assert_eq!(debouncer.len(), model.len());
        }
    }
}
