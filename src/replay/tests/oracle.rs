//! A log that forgets nothing: the whole past in a `Vec`, and the most obvious code over it.

use super::*;

/// What was ever appended.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// `None`: a mark.
    pub(super) id: Option<String>,
    pub(super) data: String,
    bytes: usize,
    at: Instant,
    /// The oldest position held when this was appended.
    oldest_then: usize,
}

#[derive(Debug)]
pub(super) struct Oracle {
    options: ReplayOptions,
    base: Option<String>,
    pub(super) all: Vec<Entry>,
    /// The oldest position held.
    pub(super) first: usize,
}

impl Entry {
    fn is_mark(&self) -> bool {
        self.id.is_none()
    }
}

impl Oracle {
    pub(super) fn new(options: ReplayOptions, base: &str) -> Self {
        let base = Some(base.to_owned()).filter(|base| !base.is_empty());
        Self { options, base, all: Vec::new(), first: 0 }
    }

    pub(super) fn append(&mut self, id: Option<String>, data: &str, bytes: usize, now: Instant) {
        self.all.push(Entry { id, data: data.to_owned(), bytes, at: now, oldest_then: self.first });
        while self.is_over() {
            self.first += 1;
        }
        self.expire(now);
    }

    fn held(&self) -> &[Entry] {
        &self.all[self.first..]
    }

    fn events_held(&self) -> usize {
        self.held().iter().filter(|entry| !entry.is_mark()).count()
    }

    /// The newest event is the only one, and nothing is before it.
    fn is_down_to(&self, events: usize) -> bool {
        self.held().first().is_none_or(|entry| !entry.is_mark() && self.events_held() <= events)
    }

    fn is_over(&self) -> bool {
        let bytes: usize = self.held().iter().map(|entry| entry.bytes).sum();
        let too_many = self.events_held() > self.options.events.map_or(1000, NonZeroUsize::get);
        too_many || (bytes > self.options.bytes && self.held().len() > 1 && !self.is_down_to(1))
    }

    pub(super) fn expire(&mut self, now: Instant) {
        let kept = if let Start::Back(n) = self.options.start { n.get() } else { 1 };
        let Some(age) = self.options.age else { return };
        while !self.is_down_to(kept) && now - self.held()[0].at > age {
            self.first += 1;
        }
    }

    pub(super) fn from(&self, cursor: usize) -> Option<String> {
        let given = |entries: &[Entry]| entries.iter().map(|entry| entry.data.clone()).collect::<Vec<_>>().join(" ");
        (cursor >= self.first).then(|| given(&self.all[cursor..]))
    }

    pub(super) fn start(&self) -> usize {
        let n = match self.options.start {
            Start::Back(n) if self.options.events.is_some() => n.get(),
            Start::All if self.options.events.is_some() => return self.first,
            _ => return self.all.len(),
        };
        let events: Vec<usize> = (self.first..self.all.len()).filter(|seq| !self.all[*seq].is_mark()).collect();
        if events.len() < n { self.first } else { events[events.len() - n] }
    }

    /// As [`Tape::position`] says it.
    pub(super) fn position(&self, id: &str) -> String {
        match self.next_after(id) {
            Ok(next) if self.options.events.is_some() || next == self.all.len() => format!("known {next}"),
            Ok(next) => self.evicted(next),
            Err(gone) => gone,
        }
    }

    fn next_after(&self, id: &str) -> Result<usize, String> {
        // Of those that bear the id, the first of which the log still knew when the next one came.
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
        let minted = id.strip_prefix("~e-").map(|seq| seq.parse::<usize>().unwrap());
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
        let number = if missed.iter().any(Entry::is_mark) { "null".to_owned() } else { missed.len().to_string() };
        format!("evicted {number}")
    }
}
