//! The line of those who are behind: the order in which a shard serves the clients that are served alone.
//!
//! ```text
//!             came, or its socket accepts bytes again           its turn
//!  elsewhere ────────────────────────────────────────▶ In line ──────────▶ First
//!      ▲                                                 ▲  ▲              │ │ │
//!      │                                                 │  ╰ took all, and│ │ │
//!      │                                                 │    may take more╯ │ │ again first
//!      │                                                 ╰─── had its helping╯ │ again last
//!      ╰──── has caught up, accepts no more bytes, or departs ─────────────────╯
//! ```
//!
//! Clients are served in the order in which they came. Who is first is served until it has caught up, so that a crowd
//! does not wait for its last client together. Nobody is starved: who had its helping goes to the end of the line, and so
//! does who comes back after its socket accepted no more bytes.

use std::collections::VecDeque;

/// The number of servings after which a client that is still behind lets the others go first. A serving is a batch, so
/// these are 512 KiB, or eight large events. A socket seldom takes as much at once.
const HELPING: u32 = 8;

/// The clients that wait for their turn, each by what the caller calls it.
#[derive(Debug)]
pub(super) struct Line<C> {
    waiting: VecDeque<C>,
    /// The client that keeps its place because it may take more, with the number of its servings so far.
    first: Option<(C, u32)>,
}

impl<C> Default for Line<C> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), first: None }
    }
}

impl<C: Copy + PartialEq> Line<C> {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// A client came, or can be sent something again. It is served after all who are here.
    pub(super) fn come(&mut self, client: C) {
        self.waiting.push_back(client);
    }

    /// Clients that were served before wait for nothing any more. They come first, in this order.
    pub(super) fn come_back(&mut self, clients: &[C]) {
        clients.iter().rev().for_each(|client| self.waiting.push_front(*client));
    }

    /// The client whose turn it is.
    pub(super) fn next(&mut self) -> Option<C> {
        self.waiting.pop_front()
    }

    /// The client whose turn it was took all that it was sent, and may take more.
    pub(super) fn goes_on(&mut self, client: C) {
        let before = self.first.take().filter(|(first, _)| *first == client).map_or(0, |(_, servings)| servings);
        let servings = before + 1;
        if servings < HELPING {
            self.first = Some((client, servings));
            self.waiting.push_front(client);
        } else {
            self.waiting.push_back(client);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What happens to the line.
    #[derive(Debug, Clone, Copy)]
    enum Event {
        Comes(char),
        ComeBack(&'static [char]),
        /// The turn of this client comes, and ends so that it is elsewhere.
        Leaves(char),
        /// The turn of this client comes, and it may take more.
        GoesOn(char),
    }

    #[test]
    fn clients_are_served_in_the_order_in_which_they_came() {
        use Event::{ComeBack, Comes, GoesOn, Leaves};
        for (events, left) in [
            (&[][..], ""),
            (&[Comes('a'), Comes('b'), Comes('c')], "abc"),
            (&[Comes('a'), Comes('b'), Leaves('a')], "b"),
            // Who may take more is first again, whoever came meanwhile.
            (&[Comes('a'), Comes('b'), GoesOn('a'), Comes('c'), GoesOn('a')], "abc"),
            (&[Comes('a'), Comes('b'), GoesOn('a'), Leaves('a'), GoesOn('b')], "b"),
            // Who comes again after it was elsewhere is last.
            (&[Comes('a'), Comes('b'), Leaves('a'), Comes('a')], "ba"),
            // Those who waited for others come first, in their order.
            (&[Comes('c'), ComeBack(&['a', 'b']), Leaves('a')], "bc"),
        ] {
            let mut line = Line::default();
            for event in events {
                match event {
                    Comes(client) => line.come(*client),
                    ComeBack(clients) => line.come_back(clients),
                    Leaves(client) => assert_eq!(line.next(), Some(*client), "{events:?}"),
                    GoesOn(client) => {
                        assert_eq!(line.next(), Some(*client), "{events:?}");
                        line.goes_on(*client);
                    }
                }
            }
            assert_eq!(line.is_empty(), left.is_empty());
            assert_eq!(std::iter::from_fn(|| line.next()).collect::<String>(), left, "{events:?}");
        }
    }

    #[test]
    fn nobody_is_starved_by_a_client_that_always_takes_more() {
        let mut line = Line::default();
        ['a', 'b'].into_iter().for_each(|client| line.come(client));
        let mut served = String::new();
        for _ in 0..3 * HELPING {
            let client = line.next().unwrap();
            served.push(client);
            line.goes_on(client);
            // Others who come first do not lengthen the helping of the one that goes on.
            line.come_back(&['w']);
            assert_eq!(line.next(), Some('w'));
        }
        let helping = |client: &str| client.repeat(HELPING as usize);
        assert_eq!(served, helping("a") + &helping("b") + &helping("a"));
    }
}
