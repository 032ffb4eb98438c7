//! An oracle for the log: it keeps everything that was ever appended in a `Vec`, with the most obvious code over it.

use super::*;

/// One entry that was ever appended.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// The id as it is compared. `None`: a mark.
    pub(super) id: Option<String>,
    pub(super) data: String,
    /// Whether it is an event, and neither a mark nor a checkpoint.
    pub(super) is_event: bool,
    cost: usize,
    at: Instant,
    /// The oldest position held when this entry was appended.
    oldest_then: usize,
}

#[derive(Debug)]
pub(super) struct Oracle {
    options: ReplayOptions,
    base: Option<String>,
    pub(super) all: Vec<Entry>,
    /// The oldest position held.
    pub(super) first: usize,
    /// The oldest position that is still delivered.
    pub(super) deliverable: usize,
    /// The positions of clients that keep up.
    pub(super) holders: Vec<usize>,
}

impl Entry {
    fn is_mark(&self) -> bool {
        self.id.is_none()
    }
}

impl Oracle {
    pub(super) fn new(options: ReplayOptions, base: &str) -> Self {
        let base = Some(base.to_owned()).filter(|base| !base.is_empty());
        Self { options, base, all: Vec::new(), first: 0, deliverable: 0, holders: Vec::new() }
    }

    pub(super) fn append(&mut self, id: Option<String>, data: &str, cost: usize, now: Instant) {
        let is_event = id.is_some();
        self.push(Entry { id, data: data.to_owned(), is_event, cost, at: now, oldest_then: self.first });
    }

    pub(super) fn checkpoint(&mut self, id: &str, cost: usize, now: Instant) {
        let (id, data) = (Some(id.to_owned()), format!("@{id}"));
        self.push(Entry { id, data, is_event: false, cost, at: now, oldest_then: self.first });
    }

    fn push(&mut self, entry: Entry) {
        let now = entry.at;
        self.all.push(entry);
        while self.is_over() {
            self.first += 1;
        }
        self.expire(now);
        self.let_go();
    }

    fn held(&self) -> &[Entry] {
        &self.all[self.first..]
    }

    fn events_held(&self) -> usize {
        self.held().iter().filter(|entry| entry.is_event).count()
    }

    fn is_over(&self) -> bool {
        let most = self.options.bytes.min(if self.options.events.is_none() { 64 << 10 } else { usize::MAX });
        let cost: usize = self.held().iter().map(|entry| entry.cost).sum();
        let too_many = self.events_held() > self.options.events.map_or(1000, NonZeroUsize::get);
        // The newest event is the only one held, and no entry is before it.
        let is_newest = self.held().first().is_none_or(|entry| entry.is_event && self.events_held() <= 1);
        too_many || (cost > most && self.held().len() > 1 && !is_newest)
    }

    pub(super) fn expire(&mut self, now: Instant) {
        if let Some(age) = self.options.age {
            while self.can_give() && now - self.held()[0].at > age {
                self.first += 1;
            }
        }
        self.let_go();
    }

    /// Drops the oldest entries until the others cost no more than `most`.
    pub(super) fn give_up(&mut self, most: usize) {
        while self.can_give() && self.held().iter().map(|entry| entry.cost).sum::<usize>() > most {
            self.first += 1;
        }
        self.let_go();
    }

    /// Whether the oldest entry is none of the newest values, which stay.
    fn can_give(&self) -> bool {
        let kept = if let Start::Back(n) = self.options.start { n.get() } else { 1 };
        self.held().first().is_some_and(|entry| entry.is_mark() || self.events_held() > kept)
    }

    /// Ends the delivery of what nobody is still to be given.
    pub(super) fn let_go(&mut self) {
        let needed = self.holders.iter().filter(|at| **at >= self.deliverable).min();
        self.deliverable = needed.map_or(self.first, |needed| (*needed).min(self.first));
    }

    /// Ends the delivery of what costs more than may be kept for it.
    pub(super) fn begin_batch(&mut self, together: usize, beside: usize) {
        let cost = |entries: &[Entry]| entries.iter().map(|entry| entry.cost).sum::<usize>();
        let most = together.saturating_sub(cost(self.held())).max(beside);
        while cost(&self.all[self.deliverable..self.first]) > most {
            self.deliverable += 1;
        }
    }

    pub(super) fn from(&self, cursor: usize) -> Option<String> {
        let given = |entries: &[Entry]| entries.iter().map(|entry| entry.data.clone()).collect::<Vec<_>>().join(" ");
        (cursor >= self.deliverable).then(|| given(&self.all[cursor..]))
    }

    pub(super) fn start(&self) -> usize {
        let n = match self.options.start {
            Start::Back(n) if self.options.events.is_some() => n.get(),
            Start::All if self.options.events.is_some() => return self.first,
            _ => return self.all.len(),
        };
        let events: Vec<usize> = (self.first..self.all.len()).filter(|seq| self.all[*seq].is_event).collect();
        if events.len() < n { self.first } else { events[events.len() - n] }
    }

    /// The position in the words of [`Tape::position`].
    pub(super) fn position(&self, id: &str) -> String {
        let id = id.trim_matches([' ', '\t']);
        // Of an id that another log minted, only the origin's part counts.
        let id =
            match id.strip_prefix("~f-").filter(|_| self.options.ids == IdPolicy::Auto).map(|id| id.split_once('~')) {
                Some(Some((_, of_origin))) => of_origin,
                Some(None) => return "unknown null".to_owned(),
                None => id,
            };
        match self.next_after(id) {
            Ok(next) if self.options.events.is_some() || next == self.all.len() => format!("known {next}"),
            Ok(next) => self.evicted(next),
            Err(gone) => gone,
        }
    }

    fn next_after(&self, id: &str) -> Result<usize, String> {
        // The first entry with the id that the log still knew when the next entry with it came.
        let mut first_known: Option<usize> = self.base.as_deref().filter(|base| *base == id).map(|_| 0);
        let mut is_first = true;
        let mut after = first_known;
        for (seq, entry) in self.all.iter().enumerate().filter(|(_, entry)| entry.id.as_deref() == Some(id)) {
            let remembered =
                after.is_some_and(|after| after > entry.oldest_then || (after == entry.oldest_then && is_first));
            if !remembered {
                first_known = Some(seq + 1);
            }
            is_first = !remembered;
            after = Some(seq + 1);
        }
        if let Some(next) = first_known.filter(|next| *next >= self.first) {
            return Ok(next);
        }
        let minted = id.strip_prefix("~e-").filter(|_| self.options.ids == IdPolicy::Auto);
        let minted = minted.map(|id| id.split('~').next().unwrap().parse::<usize>().unwrap());
        match minted {
            Some(seq) if seq < self.all.len() && seq + 1 >= self.first => Ok(seq + 1),
            Some(seq) if seq < self.all.len() => Err(self.evicted(seq + 1)),
            None if self.first > 0 => Err("evicted null".to_owned()),
            _ => Err("unknown null".to_owned()),
        }
    }

    fn evicted(&self, next: usize) -> String {
        let goes_on = if self.options.events.is_some() { self.first } else { self.all.len() };
        let missed = &self.all[next..goes_on];
        let dropped = &self.all[next.min(self.first)..self.first];
        let is_uncounted = missed.iter().any(Entry::is_mark) || dropped.iter().any(|entry| !entry.is_event);
        let events = missed.iter().filter(|entry| entry.is_event).count();
        let number = if is_uncounted { "null".to_owned() } else { events.to_string() };
        format!("evicted {number}")
    }
}
