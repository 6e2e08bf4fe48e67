//! What the meter is told of each request.

use std::sync::Mutex;

use testsmith_domain::{BoxFuture, OutOfBudget, PlannedRequest, RequestMeter, Reservation, Spent};

use super::*;

/// Writes down what it is told, and gives out so many reservations.
#[derive(Debug, Default)]
struct FakeMeter {
    log: Arc<Mutex<Vec<String>>>,
    room: Mutex<usize>,
}

#[derive(Debug)]
struct FakeReservation {
    log: Arc<Mutex<Vec<String>>>,
    settled: bool,
}

fn say(log: &Mutex<Vec<String>>, text: impl Into<String>) {
    log.lock().unwrap().push(text.into());
}

impl RequestMeter for FakeMeter {
    fn reserve<'a>(
        &'a self,
        request: PlannedRequest<'a>,
    ) -> BoxFuture<'a, Result<Box<dyn Reservation>, OutOfBudget>> {
        Box::pin(async move {
            let mut room = self.room.lock().unwrap();
            let Some(rest) = room.checked_sub(1) else {
                return Err(OutOfBudget {
                    message: "nothing is left".into(),
                    wait: seconds(3600),
                });
            };
            *room = rest;
            let first = if request.begins_call {
                "first"
            } else {
                "again"
            };
            let prompt = request.prompt_tokens;
            say(
                &self.log,
                format!("{first} {prompt}+{}", request.output_tokens),
            );
            Ok(Box::new(FakeReservation {
                log: self.log.clone(),
                settled: false,
            }) as Box<dyn Reservation>)
        })
    }
}

impl Reservation for FakeReservation {
    fn sent(&mut self) {
        say(&self.log, "sent");
    }

    fn settle(mut self: Box<Self>, spent: Spent) {
        self.settled = true;
        say(
            &self.log,
            match spent {
                Spent::Nothing => "nothing",
                Spent::Used(_) => "used",
                Spent::Unknown => "unknown",
            },
        );
    }
}

impl Drop for FakeReservation {
    fn drop(&mut self) {
        if !self.settled {
            say(&self.log, "dropped");
        }
    }
}

fn metered(fake: &Arc<Fake>, room: usize) -> (TestStack, Arc<FakeMeter>) {
    let meter = Arc::new(FakeMeter {
        room: Mutex::new(room),
        ..FakeMeter::default()
    });
    let stack = Arc::into_inner(stack(fake)).unwrap();
    (Arc::new(stack.metered(Some(meter.clone()))), meter)
}

fn told(meter: &FakeMeter) -> Vec<String> {
    meter.log.lock().unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn each_attempt_is_set_aside_and_settled_by_what_came_back() {
    let interrupted = ProviderError::new(Kind::Interrupted, "cut");
    let fake = Fake::new([server_error(), Step::Fail(interrupted), Step::Answer]);
    let (stack, meter) = metered(&fake, 9);
    stack.complete(&request()).await.unwrap();
    // 53 bytes of prompt and two frames; the fake's cap is above what is asked for.
    let expected = [
        "first 59+1500",
        "sent",
        "nothing",
        "again 59+1500",
        "sent",
        "unknown",
        "again 59+1500",
        "sent",
        "used",
    ];
    assert_eq!(told(&meter), expected);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_tells_whether_it_was_sent() {
    let fake = Fake::new([Step::Hang, Step::Hang]);
    let (stack, meter) = metered(&fake, 9);
    let hanging = tokio::time::timeout(seconds(1), stack.complete(&request())).await;
    hanging.unwrap_err();
    assert_eq!(told(&meter)[1..], ["sent", "dropped"]);

    let one = StackSettings {
        max_concurrent_calls: 1,
        ..StackSettings::default()
    };
    let meter = Arc::new(FakeMeter {
        room: Mutex::new(2),
        ..FakeMeter::default()
    });
    let stack = Arc::into_inner(stack_of(&fake, &one)).unwrap();
    let stack = stack.metered(Some(meter.clone()));
    let (a, b) = (request(), request());
    let both = async { tokio::join!(stack.complete(&a), stack.complete(&b)) };
    let left = tokio::time::timeout(seconds(1), both).await;
    left.unwrap_err();
    let log = told(&meter);
    assert_eq!(
        log.iter().filter(|line| *line == "sent").count(),
        1,
        "{log:?}"
    );
    assert_eq!(log.iter().filter(|line| *line == "dropped").count(), 2);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_without_room_and_the_error_tells_when() {
    let fake = Fake::new([server_error()]);
    let (stack, _) = metered(&fake, 0);
    let error = stack.complete(&request()).await.unwrap_err();
    assert_eq!((error.kind, error.attempts), (Kind::Budget, 0));
    assert_eq!(error.retry_after, Some(seconds(3600)));
    assert_eq!(chain(&error), "nothing is left");
    assert!(fake.times().is_empty());
    assert_eq!(gauge(&stack).read().calls, 0, "nothing was sent");
    let (stack, _) = metered(&fake, 1);
    let error = stack.complete(&request()).await.unwrap_err();
    assert_eq!((error.kind, error.attempts), (Kind::Budget, 1));
    assert_eq!(chain(&error), "nothing is left: the server answered 503");
    assert_eq!(gauge(&stack).read().calls, 1);
    assert_eq!(gauge(&stack).read().circuit, crate::Circuit::Closed);
}
