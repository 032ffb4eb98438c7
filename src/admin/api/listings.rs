//! The orders of listings that are being paged through. A page that follows has the order of the first page, so each
//! stream that lives throughout is shown once, however the streams change.

use super::name::StreamName;
use super::problem::Problem;
use http::StatusCode;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;

/// The streams that all listings hold together.
const MOST_STREAMS: usize = 1 << 20;

/// The most listings.
const MOST_LISTINGS: usize = 256;

/// The listings that were used last.
#[derive(Debug, Default)]
pub(super) struct Listings(Mutex<VecDeque<(u64, Arc<[StreamName]>)>>);

impl Listings {
    /// Keeps a listing, of which `shown` streams were shown. Returns the name of its next page.
    pub(super) fn keep(&self, names: Vec<StreamName>, shown: usize) -> String {
        let name = fastrand::u64(..);
        let mut kept = self.0.lock();
        kept.push_back((name, names.into()));
        while kept.len() > 1
            && (kept.len() > MOST_LISTINGS || kept.iter().map(|(_, names)| names.len()).sum::<usize>() > MOST_STREAMS)
        {
            kept.pop_front();
        }
        next_name(name, shown)
    }

    /// A page: its streams, how many the listing has, and the name of the next page.
    pub(super) fn page(&self, after: &str, limit: usize) -> Result<(Vec<StreamName>, usize, Option<String>), Problem> {
        let bad = || Problem::bad("parameter after is not the value of next of an earlier page");
        let (name, begin) = after.split_once('-').ok_or_else(bad)?;
        let name = u64::from_str_radix(name, 16).map_err(|_| bad())?;
        let begin: usize = begin.parse().map_err(|_| bad())?;
        let mut kept = self.0.lock();
        let found = kept.iter().position(|(known, _)| *known == name).and_then(|at| kept.remove(at));
        let (name, names) = found.ok_or_else(|| {
            let detail = "parameter after names a listing that is no longer kept: ask for the first page again";
            Problem::new(StatusCode::GONE, detail)
        })?;
        kept.push_back((name, Arc::clone(&names)));
        drop(kept);
        let page: Vec<_> = names.iter().skip(begin).take(limit).copied().collect();
        let end = begin.saturating_add(page.len());
        Ok((page, names.len(), (end < names.len()).then(|| next_name(name, end))))
    }
}

fn next_name(name: u64, begin: usize) -> String {
    format!("{name:016x}-{begin}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_go_on_where_the_last_ended_and_the_oldest_listing_is_forgotten() {
        let listings = Listings::default();
        let names = |numbers: &[usize]| numbers.iter().copied().map(StreamName::Held).collect::<Vec<_>>();
        let first = listings.keep(names(&[0, 1, 2, 3, 4]), 2);
        let (page, total, next) = listings.page(&first, 2).unwrap();
        assert_eq!((page, total), (names(&[2, 3]), 5));
        let (page, _, last) = listings.page(&next.unwrap(), 2).unwrap();
        assert_eq!((page, last), (names(&[4]), None));
        for _ in 0..MOST_LISTINGS {
            listings.keep(names(&[1, 2]), 1);
        }
        assert_eq!(listings.page(&first, 2).unwrap_err().status, StatusCode::GONE);
        for forged in ["", "x", "-1", "1-", "1-x", "zz-1", "1--1"] {
            assert_eq!(listings.page(forged, 2).unwrap_err().status, StatusCode::BAD_REQUEST, "{forged}");
        }
        let huge = listings.keep(names(&[1, 2]), usize::MAX);
        assert_eq!(listings.page(&huge, 2).unwrap(), (vec![], 2, None));
    }
}
