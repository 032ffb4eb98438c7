//! Random sequences of operations, beside a simple model of what must be true.

use super::*;
use fastrand::Rng;
use std::cell::RefCell;
use std::rc::Rc;

const PATHS: [&str; 3] = ["/a", "/b", "/c"];

/// What must be true of one stream.
#[derive(Debug, Default)]
struct Expected {
    appended: usize,
    has_head: bool,
    end: Option<End>,
}

/// A stream whose publisher lives.
struct Fed {
    path: &'static str,
    publisher: Publisher,
    expected: Rc<RefCell<Expected>>,
}

struct Reader {
    subscription: Subscription,
    expected: Rc<RefCell<Expected>>,
    /// The number of events that the reader was given or that came before it.
    seen: usize,
}

struct Model {
    stage: Stage,
    rng: Rng,
    fed: Vec<Fed>,
    readers: Vec<Reader>,
}

impl Model {
    fn join(&mut self) {
        let path = PATHS[self.rng.usize(..PATHS.len())];
        let subscription = self.stage.join(path).unwrap();
        let is_open = self.fed.iter().any(|fed| fed.path == path);
        assert_eq!(self.stage.opened(), usize::from(!is_open), "opened when and only when it was not");
        if !is_open {
            self.fed.push(Fed { path, publisher: self.stage.publisher(), expected: Rc::default() });
        }
        let expected = Rc::clone(&self.fed.iter().find(|fed| fed.path == path).unwrap().expected);
        let seen = expected.borrow().appended;
        self.readers.push(Reader { subscription, expected, seen });
    }

    fn leave(&mut self) {
        if !self.readers.is_empty() {
            self.readers.swap_remove(self.rng.usize(..self.readers.len()));
        }
    }

    async fn feed(&mut self) {
        if self.fed.is_empty() {
            return;
        }
        let at = self.rng.usize(..self.fed.len());
        let Fed { publisher, expected, .. } = &self.fed[at];
        match self.rng.u8(..8) {
            0 => {
                live(publisher);
                expected.borrow_mut().has_head = true;
            }
            1 => publisher.failed(),
            2 => publisher.connecting(),
            3 => {
                let fed = self.fed.swap_remove(at);
                fed.expected.borrow_mut().end = Some(End::OriginClosed);
                fed.publisher.close(End::OriginClosed, Duration::ZERO).await;
            }
            4 => {
                let fed = self.fed.swap_remove(at);
                fed.expected.borrow_mut().end = Some(End::PublisherGone);
                drop(fed);
            }
            _ => {
                let n = self.rng.usize(1..4);
                append(publisher, &vec!["x"; n]);
                expected.borrow_mut().appended += n;
            }
        }
    }

    async fn read(&mut self) {
        if self.readers.is_empty() {
            return;
        }
        let at = self.rng.usize(..self.readers.len());
        let Reader { subscription, expected, seen } = &mut self.readers[at];
        let verdict = match subscription.verdict(Some(Duration::ZERO)).await {
            Verdict::Live(_) | Verdict::Own(_) => None,
            Verdict::Held => Some(None),
            Verdict::Ended(end) => Some(Some(end)),
        };
        let expected = expected.borrow();
        let due = if expected.has_head { None } else { Some(expected.end.clone()) };
        assert_eq!(verdict, due);
        let (given, then) = drain(subscription);
        assert_eq!(given.split_whitespace().count(), expected.appended - *seen);
        assert_eq!(then, expected.end.clone().map_or(Reading::CaughtUp, Reading::Ended));
        *seen = expected.appended;
    }

    fn check(&self) {
        let open = self.stage.hub.streams.open.lock();
        assert_eq!(open.by_key.len(), self.fed.len());
        assert_eq!(open.routes.values().map(|route| route.held).sum::<usize>(), self.fed.len());
        let mut alive: Vec<_> = self.readers.iter().map(|reader| Rc::as_ptr(&reader.expected)).collect();
        alive.extend(self.fed.iter().map(|fed| Rc::as_ptr(&fed.expected)));
        alive.sort_unstable();
        alive.dedup();
        assert_eq!(self.stage.counted("streams"), alive.len() as u64);
        assert_eq!(self.stage.counted("subscribers"), self.readers.len() as u64);
        let waiting: usize = open.routes.values().map(|route| route.empty.len()).sum();
        assert_eq!(waiting, self.fed.iter().filter(|fed| !is_occupied(&fed.publisher)).count());
        for fed in &self.fed {
            let readers = self.readers.iter().filter(|reader| Rc::ptr_eq(&reader.expected, &fed.expected)).count();
            assert_eq!(is_occupied(&fed.publisher), readers > 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn any_sequence_of_operations_does_what_the_model_says() {
    for seed in 0..100 {
        let mut model = Model { stage: Stage::new(), rng: Rng::with_seed(seed), fed: Vec::new(), readers: Vec::new() };
        for _ in 0..200 {
            match model.rng.u8(..10) {
                0..3 => model.join(),
                3..5 => model.leave(),
                5..8 => model.feed().await,
                _ => model.read().await,
            }
            model.check();
        }
        model.fed.clear();
        model.readers.clear();
        model.check();
    }
}
