//! Pictures of lines and bars, readable on a light and on a dark page.

use super::scale::{Scale, number, spread, ticks};
use std::fmt::Write as _;

pub(crate) const WIDTH: f64 = 760.0;
pub(crate) const LEFT: f64 = 64.0;
pub(crate) const TOP: f64 = 84.0;
/// The space to the right of the lines, for their names.
const NAMES: f64 = 190.0;

const STYLE: &str = "<style>
  svg { font-family: system-ui, -apple-system, 'Segoe UI', 'Noto Sans', Helvetica, Arial, sans-serif; font-size: 13px;
    --paper: #ffffff; --edge: #d1d9e0; --ink: #1f2328; --quiet: #59636e; --grid: #e4e8ec;
    --floor: #6e7781; --manifold: #0969da; --nchan: #bc4c00; --pushpin: #1a7f37; --varnish: #8250df; }
  @media (prefers-color-scheme: dark) { svg { --paper: #0d1117; --edge: #30363d; --ink: #f0f6fc; --quiet: #9198a1;
    --grid: #21262d; --floor: #9198a1; --manifold: #58a6ff; --nchan: #f0883e; --pushpin: #3fb950;
    --varnish: #a371f7; } }
  .paper { fill: var(--paper); stroke: var(--edge); }
  .title { font-size: 17px; font-weight: 600; fill: var(--ink); }
  text { fill: var(--quiet); } .value { fill: var(--ink); font-weight: 600; }
  .grid { stroke: var(--grid); } .axis { stroke: var(--edge); }
  .line { fill: none; stroke-width: 2.5; stroke-linejoin: round; stroke-linecap: round; }
  .floor.line { stroke: var(--floor); stroke-dasharray: 6 5; } .floor.fill { fill: var(--floor); }
  .manifold.line { stroke: var(--manifold); } .manifold.fill { fill: var(--manifold); }
  .nchan.line { stroke: var(--nchan); } .nchan.fill { fill: var(--nchan); }
  .pushpin.line { stroke: var(--pushpin); } .pushpin.fill { fill: var(--pushpin); }
  .varnish.line { stroke: var(--varnish); } .varnish.fill { fill: var(--varnish); }
  .dot { stroke: var(--paper); stroke-width: 1.5; } .name { font-weight: 600; }
</style>
";

/// The values of one server.
#[derive(Debug)]
pub(crate) struct Series {
    /// The server's class in the picture's style, which sets its colour.
    pub(crate) class: &'static str,
    /// The server's name for readers.
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// The text above a picture.
#[derive(Debug)]
pub(crate) struct Caption {
    pub(crate) title: &'static str,
    pub(crate) subtitle: String,
}

/// Lines over a logarithmic axis.
pub(crate) fn lines(caption: &Caption, axis: &str, series: &[Series]) -> String {
    let (height, bottom, right) = (420.0, 420.0 - 58.0, WIDTH - NAMES);
    let points = || series.iter().flat_map(|series| &series.points);
    let most = points().map(|point| point.1).fold(1e-9, f64::max);
    let ticks = ticks(most);
    let (first, last) = points().fold((f64::MAX, 0.0), |(first, last), point| (point.0.min(first), point.0.max(last)));
    let across = Scale { values: (first, last), places: (LEFT + 16.0, right), logarithmic: true };
    let up = Scale { values: (0.0, ticks.last().copied().unwrap_or(1.0)), places: (bottom, TOP), logarithmic: false };
    let mut svg = frame(height, caption);
    for &tick in &ticks {
        let y = up.place(tick);
        put(&mut svg, &format!("<line class='grid' x1='{LEFT}' x2='{right}' y1='{y:.1}' y2='{y:.1}'/>"));
        put(&mut svg, &text(LEFT - 10.0, y + 4.5, "end", "", &number(tick)));
    }
    put(&mut svg, &format!("<line class='axis' x1='{LEFT}' x2='{right}' y1='{bottom}' y2='{bottom}'/>"));
    let mut values = points().map(|point| point.0).collect::<Vec<_>>();
    values.sort_by(f64::total_cmp);
    values.dedup();
    for &value in &values {
        put(&mut svg, &text(across.place(value), bottom + 22.0, "middle", "", &number(value)));
    }
    put(&mut svg, &text(f64::midpoint(LEFT, right), bottom + 44.0, "middle", "", axis));
    let mut names = series.iter().filter_map(|it| it.points.last()).map(|end| up.place(end.1)).collect::<Vec<_>>();
    spread(&mut names, 19.0);
    for (series, y) in series.iter().filter(|series| !series.points.is_empty()).zip(names) {
        line(&mut svg, series, &across, &up);
        let end = series.points.last().map_or(0.0, |end| end.1);
        let label = format!("{} {end:.1}", series.name);
        put(&mut svg, &text(right + 12.0, y + 4.5, "start", &format!("name {} fill", series.class), &label));
    }
    svg + "</svg>\n"
}

fn line(svg: &mut String, series: &Series, across: &Scale, up: &Scale) {
    let places = || series.points.iter().map(|point| (across.place(point.0), up.place(point.1)));
    let path = places().map(|(x, y)| format!("{x:.1},{y:.1}")).collect::<Vec<_>>().join(" ");
    let class = series.class;
    put(svg, &format!("<polyline class='{class} line' points='{path}'/>"));
    for (x, y) in places() {
        put(svg, &format!("<circle class='{class} fill dot' cx='{x:.1}' cy='{y:.1}' r='4.5'/>"));
    }
}

/// How the values of bars are written.
#[derive(Debug)]
pub(crate) struct Bars {
    pub(crate) unit: &'static str,
    /// The decimals of values below 1,000. Larger ones have none.
    pub(crate) decimals: usize,
}

/// One bar per server, as long as its only value.
pub(crate) fn bars(caption: &Caption, bars: &Bars, series: &[Series]) -> String {
    const BAR: f64 = 30.0;
    const STEP: f64 = 48.0;
    let value = |series: &Series| series.points.first().map_or(0.0, |point| point.1.max(0.0));
    let most = series.iter().map(value).fold(1e-9, f64::max);
    let left = LEFT + 96.0;
    let along = Scale { values: (0.0, most), places: (0.0, WIDTH - left - 120.0), logarithmic: false };
    let rows = f64::from(u32::try_from(series.len()).unwrap_or(0));
    let mut svg = frame(TOP + STEP * rows + 14.0, caption);
    let mut y = TOP;
    for series in series {
        // A bar of length 0 must still be visible.
        let (width, class) = (along.place(value(series)).max(1.5), series.class);
        put(&mut svg, &text(left - 12.0, y + 20.0, "end", &format!("name {class} fill"), &series.name));
        put(
            &mut svg,
            &format!("<rect class='{class} fill' x='{left}' y='{y}' width='{width:.1}' height='{BAR}' rx='3'/>"),
        );
        let label = match value(series) {
            value if value < 1_000.0 => format!("{value:.*} {}", bars.decimals, bars.unit),
            value => format!("{} {}", number(value), bars.unit),
        };
        put(&mut svg, &text(left + width + 10.0, y + 20.0, "start", "value", &label));
        y += STEP;
    }
    svg + "</svg>\n"
}

pub(crate) fn frame(height: f64, caption: &Caption) -> String {
    let Caption { title, subtitle } = caption;
    let mut svg = format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' width='{WIDTH}' height='{height}' \
         role='img'>\n<title>{title}</title>\n{STYLE}"
    );
    let (width, tall) = (WIDTH - 1.0, height - 1.0);
    put(&mut svg, &format!("<rect class='paper' x='0.5' y='0.5' width='{width}' height='{tall}' rx='8'/>"));
    put(&mut svg, &text(24.0, 34.0, "start", "title", title));
    put(&mut svg, &text(24.0, 56.0, "start", "", subtitle));
    svg
}

pub(crate) fn text(x: f64, y: f64, anchor: &str, class: &str, text: &str) -> String {
    format!("<text x='{x:.1}' y='{y:.1}' text-anchor='{anchor}' class='{class}'>{}</text>", escaped(text))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

pub(crate) fn put(svg: &mut String, element: &str) {
    // Writing to a string cannot fail.
    writeln!(svg, "{element}").unwrap_or_default();
}
