use std::collections::HashMap;
use std::future::pending;

use tokio_util::sync::CancellationToken;

use super::*;

/// A service manager: a real socket, and the environment it gives.
struct Manager {
    socket: UnixDatagram,
    environment: HashMap<&'static str, String>,
    _dir: tempfile::TempDir,
}

impl Manager {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        Self::with(socket, path.to_str().unwrap().to_owned(), dir)
    }

    fn with(socket: UnixDatagram, name: String, dir: tempfile::TempDir) -> Self {
        socket.set_nonblocking(true).unwrap();
        Self {
            socket,
            environment: HashMap::from([
                ("NOTIFY_SOCKET", name),
                ("WATCHDOG_USEC", "8000000".to_owned()),
                ("WATCHDOG_PID", std::process::id().to_string()),
            ]),
            _dir: dir,
        }
    }

    fn notifier(&self) -> Arc<Notifier> {
        Notifier::new(&|name| self.environment.get(name).cloned())
    }

    fn heartbeats(&self) -> Arc<Heartbeats> {
        Heartbeats::new(&|name| self.environment.get(name).cloned())
    }

    /// What was heard since the last time.
    fn heard(&self) -> Vec<String> {
        let mut heard = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(length) = self.socket.recv(&mut buffer) {
            heard.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
        heard
    }
}

#[test]
fn each_word_is_said_as_the_protocol_has_it() {
    let manager = Manager::new();
    let notifier = manager.notifier();
    notifier.ready();
    notifier.status("2 jobs\nwait");
    notifier.reloading();
    notifier.extend(Duration::from_secs(10));
    notifier.stopping();
    let heard = manager.heard();
    assert_eq!(heard[0], "READY=1");
    assert_eq!(heard[1], "STATUS=2 jobs wait");
    let micros = heard[2]
        .strip_prefix("RELOADING=1\nMONOTONIC_USEC=")
        .unwrap();
    assert!(micros.parse::<u64>().unwrap() > 0);
    assert_eq!(heard[3..], ["EXTEND_TIMEOUT_USEC=10000000", "STOPPING=1"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_name_of_the_abstract_namespace_is_one_too() {
    let name = format!("testsmith-test-{}", std::process::id());
    let socket = UnixDatagram::bind_addr(&abstract_address(&name).unwrap()).unwrap();
    let manager = Manager::with(socket, format!("@{name}"), tempfile::tempdir().unwrap());
    manager.notifier().ready();
    assert_eq!(manager.heard(), ["READY=1"]);
}

#[test]
fn without_a_manager_nothing_is_said() {
    let notifier = Notifier::new(&|_| None);
    assert!(!notifier.is_heard());
    notifier.ready();
    let gone = Notifier::new(&|_| Some("/nowhere/at/all".to_owned()));
    gone.ready();
}

impl Manager {
    /// Reads for so many seconds of the paused clock: a socket holds only a few messages.
    async fn hear(&self, seconds: u64) -> Vec<String> {
        let mut heard = Vec::new();
        for _ in 0..seconds {
            after(1).await;
            heard.extend(self.heard());
        }
        heard
    }
}

/// Lets the paused clock go on until the watchdog has had `seconds`.
async fn after(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn the_watchdog_is_fed_while_all_parts_move() {
    let manager = Manager::new();
    let heartbeats = manager.heartbeats();
    let watchdog = Watchdog {
        notifier: manager.notifier(),
        heartbeats: Arc::clone(&heartbeats),
    };
    let stop = CancellationToken::new();
    // A worker that waits for a long call moves.
    let worker = heartbeats.with("worker 1".to_owned(), pending::<()>());
    let fed = async {
        let heard = manager.hear(60).await;
        assert!(heard.len() >= 60 / 4, "{}", heard.len());
        assert!(heard.iter().all(|word| word == "WATCHDOG=1"), "{heard:?}");
    };
    tokio::select! {
        () = worker => unreachable!(),
        () = watchdog.run(|| async {}, stop) => unreachable!(),
        () = fed => {}
    }
}

/// What is watched in a running service: see `run`.
#[tokio::test(start_paused = true)]
async fn a_part_that_hangs_ends_the_feeding() {
    for part in ["watcher", "intake", "worker 1"] {
        hang(part).await;
    }
}

async fn hang(part: &str) {
    let manager = Manager::new();
    let heartbeats = manager.heartbeats();
    let watchdog = Watchdog {
        notifier: manager.notifier(),
        heartbeats: Arc::clone(&heartbeats),
    };
    let mut worker = Box::pin(heartbeats.with(part.to_owned(), pending::<()>()));
    let hangs = async {
        // The worker moves for a while, and then nothing polls it any more: its thread hangs.
        tokio::select! {
            () = &mut worker => unreachable!(),
            () = after(20) => {}
        }
        assert!(!manager.heard().is_empty());
        after(8).await;
        manager.heard();
        after(600).await;
        assert_eq!(manager.heard(), Vec::<String>::new(), "not after the limit");
        // What moves again is fed again.
        tokio::select! {
            () = &mut worker => unreachable!(),
            () = after(20) => {}
        }
        assert!(!manager.heard().is_empty());
    };
    tokio::select! {
        () = watchdog.run(|| async {}, CancellationToken::new()) => unreachable!(),
        () = hangs => {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_ends_the_feeding() {
    let manager = Manager::new();
    let watchdog = Watchdog {
        notifier: manager.notifier(),
        heartbeats: manager.heartbeats(),
    };
    let asked = std::sync::atomic::AtomicU32::new(0);
    let store = || async {
        if asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) >= 3 {
            pending::<()>().await;
        }
    };
    tokio::select! {
        () = watchdog.run(store, CancellationToken::new()) => unreachable!(),
        () = after(600) => {}
    }
    assert_eq!(manager.heard().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_part_that_has_ended_is_not_missed() {
    let manager = Manager::new();
    let heartbeats = manager.heartbeats();
    Arc::clone(&heartbeats)
        .with("ready".to_owned(), after(4))
        .await;
    let watchdog = Watchdog {
        notifier: manager.notifier(),
        heartbeats,
    };
    tokio::select! {
        () = watchdog.run(|| async {}, CancellationToken::new()) => unreachable!(),
        heard = manager.hear(600) => assert!(heard.len() >= 150),
    }
}

#[test]
fn a_watchdog_for_another_process_is_not_ours() {
    let mut manager = Manager::new();
    manager.environment.insert("WATCHDOG_PID", "1".to_owned());
    assert!(format!("{:?}", manager.heartbeats()).contains("every: None"));
}
