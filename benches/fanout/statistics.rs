//! Statistics over repeats.

/// The middle of some values, and how far they are apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// `None`: there are no values, or one is not a number.
    pub(crate) fn of(mut values: Vec<f64>) -> Option<Self> {
        if !values.iter().all(|value| value.is_finite()) {
            return None;
        }
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let (middle, even) = (values.len() / 2, values.len().is_multiple_of(2));
        let median = if even { f64::midpoint(values[middle - 1], values[middle]) } else { values[middle] };
        Some(Self { median, least, most })
    }
}
