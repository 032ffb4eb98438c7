//! Numbers for readers, and their positions in a picture.

/// Maps values to positions, linearly or by their logarithms.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    pub(crate) values: (f64, f64),
    pub(crate) places: (f64, f64),
    pub(crate) logarithmic: bool,
}

impl Scale {
    /// The position of `value`, which must be positive on a logarithmic scale.
    pub(crate) fn place(&self, value: f64) -> f64 {
        let along = |value: f64| if self.logarithmic { value.ln() } else { value };
        let (from, to) = (along(self.values.0), along(self.values.1));
        self.places.0 + (along(value) - from) / (to - from) * (self.places.1 - self.places.0)
    }
}

/// Round values from 0 to at least `most`, four to seven of them.
pub(crate) fn ticks(most: f64) -> Vec<f64> {
    let magnitude = 10_f64.powf((most / 5.0).log10().floor());
    let steps = [1.0, 2.0, 2.5, 5.0, 10.0].map(|step| step * magnitude);
    let step = steps.into_iter().find(|step| step * 6.0 >= most).unwrap_or(magnitude * 10.0);
    let mut ticks = vec![0.0];
    while ticks.last().is_some_and(|&last| last < most * (1.0 - 1e-9)) {
        ticks.push(step * f64::from(u32::try_from(ticks.len()).unwrap_or(u32::MAX)));
    }
    ticks
}

/// Moves positions apart until any two have a distance of `gap`, without changing their order.
pub(crate) fn spread(places: &mut [f64], gap: f64) {
    let mut order = (0..places.len()).collect::<Vec<_>>();
    order.sort_by(|&left, &right| places[left].total_cmp(&places[right]));
    // Each round moves neighbours that are too close apart, both by half of what is missing.
    for _ in 0..100 {
        for pair in order.windows(2) {
            let missing = gap - (places[pair[1]] - places[pair[0]]);
            if missing > 0.0 {
                places[pair[0]] -= missing / 2.0;
                places[pair[1]] += missing / 2.0;
            }
        }
    }
}

/// A value for readers: 2,000,000 or 18,000 or 2.5. From 1,000 on it is rounded. It is not negative.
pub(crate) fn number(value: f64) -> String {
    if value < 1_000.0 {
        return format!("{value}");
    }
    let digits = format!("{value:.0}");
    let mut groups = digits.as_bytes().rchunks(3).map(String::from_utf8_lossy).collect::<Vec<_>>();
    groups.reverse();
    groups.join(",")
}
