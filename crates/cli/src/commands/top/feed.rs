//! What comes from the daemon: its status once a second, its events as they happen, and answers.

use testsmith_control::{
    Client, ClientError, FileQuery, FileRequest, FileStory, JobInfo, JobKind, JobsQuery, Stamped,
    Status,
};
use tokio::sync::mpsc::Sender;
use tokio::time::{Duration, MissedTickBehavior, interval, sleep};

/// How often the status is asked for, and a lost daemon is looked for.
const PERIOD: Duration = Duration::from_secs(1);

/// Jobs of a kind that are listed. More than a screen holds, less than a large queue.
const MOST_JOBS: usize = 200;

/// Something new.
#[derive(Debug)]
pub(crate) enum Update {
    /// The picture of this moment.
    Status(Box<Status>),
    /// The jobs that do not run: those that wait or are parked, then those that are ready.
    Jobs(Vec<JobInfo>),
    /// Something happened.
    Event(Box<Stamped>),
    /// The daemon does not answer, and why.
    Lost(String),
    /// What was asked of a file.
    Story(Box<FileStory>),
    /// What became of an order.
    Said(String),
}

/// What is asked on a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ask {
    Story(FileQuery),
    Retry(FileRequest),
    SetPaused(bool),
}

/// Asks for the status again and again; for the jobs only when the queue is another one than it
/// was. Ends with the receiver.
pub(crate) async fn poll(client: Client, sender: Sender<Update>) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut known = None;
    loop {
        ticks.tick().await;
        let update = match client.status().await {
            Ok(status) => {
                let ended = status.last.first().map(|job| (job.job_id, job.ended));
                let mark = (status.queue.clone(), ended);
                if known.as_ref() != Some(&mark)
                    && let Ok(jobs) = idle_jobs(&client).await
                {
                    known = Some(mark);
                    if sender.send(Update::Jobs(jobs)).await.is_err() {
                        return;
                    }
                }
                Update::Status(Box::new(status))
            }
            Err(error) => {
                known = None;
                Update::Lost(chain(&error))
            }
        };
        if sender.send(update).await.is_err() {
            return;
        }
    }
}

/// Passes events on, from one daemon after the other. Ends with the receiver.
pub(crate) async fn listen(client: Client, sender: Sender<Update>) {
    while !sender.is_closed() {
        if let Ok(mut events) = client.events().await {
            while let Some(Ok(event)) = events.next().await {
                if sender.send(Update::Event(Box::new(event))).await.is_err() {
                    return;
                }
            }
        }
        sleep(PERIOD).await;
    }
}

/// Asks one thing.
pub(crate) async fn ask(client: Client, ask: Ask, sender: Sender<Update>) {
    let answer = match ask {
        Ask::Story(query) => client
            .file(&query)
            .await
            .map(|story| Update::Story(Box::new(story))),
        Ask::Retry(request) => client.retry(&request).await.map(|done| {
            Update::Said(match done.woken {
                0 => "nothing waits to be tried again".to_owned(),
                1 => "1 job tried again".to_owned(),
                woken => format!("{woken} jobs tried again"),
            })
        }),
        Ask::SetPaused(paused) => client.set_paused(paused).await.map(|done| {
            Update::Said(if done.paused {
                "paused: running jobs end, nothing is taken up; p to go on".to_owned()
            } else {
                "resumed".to_owned()
            })
        }),
    };
    let update = answer.unwrap_or_else(|error| Update::Said(chain(&error)));
    // Fails only when the screen is gone.
    let _ = sender.send(update).await;
}

async fn idle_jobs(client: &Client) -> Result<Vec<JobInfo>, ClientError> {
    let query = |states| JobsQuery {
        states,
        path: None,
        limit: Some(MOST_JOBS),
    };
    let stuck = query(vec![JobKind::Waiting, JobKind::Parked]);
    let mut jobs = client.jobs(&stuck).await?.jobs;
    let ready = client.jobs(&query(vec![JobKind::Pending])).await?.jobs;
    jobs.extend(ready);
    Ok(jobs)
}

fn chain(error: &ClientError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        text.push_str(&format!(": {source}"));
        cause = source.source();
    }
    text
}
