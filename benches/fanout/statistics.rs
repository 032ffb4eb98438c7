//! Statistics over repeats.

/// The median. `None`: there are no values, or one is not a number.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    if values.is_empty() || !values.iter().all(|value| value.is_finite()) {
        return None;
    }
    values.sort_by(f64::total_cmp);
    let (middle, even) = (values.len() / 2, values.len().is_multiple_of(2));
    Some(if even { f64::midpoint(values[middle - 1], values[middle]) } else { values[middle] })
}
