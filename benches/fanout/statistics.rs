//! What repeats come to.

/// The middle one, or the mean of the two in the middle; `None` if there is none or one is no number.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    if values.is_empty() || !values.iter().all(|value| value.is_finite()) {
        return None;
    }
    values.sort_by(f64::total_cmp);
    let (middle, even) = (values.len() / 2, values.len().is_multiple_of(2));
    Some(if even { f64::midpoint(values[middle - 1], values[middle]) } else { values[middle] })
}
