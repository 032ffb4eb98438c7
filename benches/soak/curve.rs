//! The picture of a run: the memory of each process, and the upgrades between them.

use super::process::float;
use super::samples::Sample;
use super::scale::{Scale, number, ticks};
use super::svg::{Caption, LEFT, TOP, WIDTH, frame, put, text};

const KB_OF_MIB: f64 = 1_024.0;

/// Draws the memory of the processes over the minutes.
pub(crate) fn curve(caption: &Caption, samples: &[Sample]) -> String {
    let (height, bottom, right) = (420.0, 420.0 - 58.0, WIDTH - 32.0);
    let mib = |sample: &Sample| float(sample.kb) / KB_OF_MIB;
    let minutes = |sample: &Sample| sample.secs / 60.0;
    let most = samples.iter().map(mib).fold(1e-9, f64::max);
    let longest = samples.iter().map(minutes).fold(1e-9, f64::max);
    let levels = ticks(most);
    let across = Scale { values: (0.0, longest), places: (LEFT + 16.0, right), logarithmic: false };
    let up = Scale { values: (0.0, levels.last().copied().unwrap_or(1.0)), places: (bottom, TOP), logarithmic: false };
    let mut svg = frame(height, caption);
    for &level in &levels {
        let y = up.place(level);
        put(&mut svg, &format!("<line class='grid' x1='{LEFT}' x2='{right}' y1='{y:.1}' y2='{y:.1}'/>"));
        put(&mut svg, &text(LEFT - 10.0, y + 4.5, "end", "", &number(level)));
    }
    put(&mut svg, &format!("<line class='axis' x1='{LEFT}' x2='{right}' y1='{bottom}' y2='{bottom}'/>"));
    for minute in ticks(longest).into_iter().filter(|&minute| minute <= longest) {
        put(&mut svg, &text(across.place(minute), bottom + 22.0, "middle", "", &number(minute)));
    }
    put(&mut svg, &text(f64::midpoint(LEFT, right), bottom + 44.0, "middle", "", "minutes"));
    for process in samples.chunk_by(|one, next| one.pid == next.pid) {
        if let Some(first) = process.first() {
            let x = across.place(minutes(first));
            put(&mut svg, &format!("<line class='grid' x1='{x:.1}' x2='{x:.1}' y1='{TOP}' y2='{bottom}'/>"));
        }
        let place = |sample| format!("{:.1},{:.1}", across.place(minutes(sample)), up.place(mib(sample)));
        let points = process.iter().map(place).collect::<Vec<_>>().join(" ");
        put(&mut svg, &format!("<polyline class='manifold line' points='{points}'/>"));
    }
    svg + "</svg>\n"
}
