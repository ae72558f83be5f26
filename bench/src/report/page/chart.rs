//! An SVG plot: two axes with a grid, and on them lines, bands, marks and labels. No script, no style of its own but the
//! classes that `style.css` knows.

use std::fmt::Write;

use super::escape;
use super::scale::Scale;

/// Space around the plot: for the names of ticks and of axes, and for names at the ends of lines.
pub struct Margins {
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
}

/// An axis: how values lie on it, and what stands at its ticks.
pub struct Axis {
    /// From values to pixels.
    pub scale: Scale,
    /// Values and what is written there.
    pub ticks: Vec<(f64, String)>,
    /// What it shows.
    pub name: String,
}

/// A plot in the making.
pub struct Chart {
    size: (f64, f64),
    margins: Margins,
    x: Axis,
    y: Axis,
    body: String,
    /// Names at the ends of lines, with where they would like to be.
    end_labels: Vec<(f64, f64, String, String)>,
}

/// Height of a line of text.
const TEXT_PX: f64 = 14.0;

/// The pixels of x from left to right, and of y from bottom to top, within a plot.
pub fn plot_area((width, height): (f64, f64), margins: &Margins) -> ((f64, f64), (f64, f64)) {
    (
        (margins.left, width - margins.right),
        (height - margins.bottom, margins.top),
    )
}

impl Chart {
    /// An empty plot with its grid.
    pub fn new(size: (f64, f64), margins: Margins, x: Axis, y: Axis) -> Chart {
        let mut chart = Chart {
            size,
            margins,
            x,
            y,
            body: String::new(),
            end_labels: Vec::new(),
        };
        chart.draw_axes();
        chart
    }

    fn draw_axes(&mut self) {
        let ((left, right), (bottom, top)) = plot_area(self.size, &self.margins);
        let body = &mut self.body;
        for (value, name) in &self.y.ticks {
            let y = self.y.scale.at(*value);
            put(
                body,
                format_args!(
                    r#"<line class="grid" x1="{left:.1}" x2="{right:.1}" y1="{y:.1}" y2="{y:.1}"/>"#
                ),
            );
            let (x, y) = (left - 7.0, y + 4.0);
            put(
                body,
                format_args!(
                    r#"<text class="tick end" x="{x:.1}" y="{y:.1}">{}</text>"#,
                    escape(name)
                ),
            );
        }
        for (value, name) in &self.x.ticks {
            let x = self.x.scale.at(*value);
            put(
                body,
                format_args!(
                    r#"<line class="grid" x1="{x:.1}" x2="{x:.1}" y1="{top:.1}" y2="{bottom:.1}"/>"#
                ),
            );
            let y = bottom + 17.0;
            put(
                body,
                format_args!(
                    r#"<text class="tick mid" x="{x:.1}" y="{y:.1}">{}</text>"#,
                    escape(name)
                ),
            );
        }
        put(
            body,
            format_args!(
                r#"<line class="axis" x1="{left:.1}" x2="{right:.1}" y1="{bottom:.1}" y2="{bottom:.1}"/>"#
            ),
        );
        if !self.x.name.is_empty() {
            let (x, y) = ((left + right) / 2.0, bottom + 36.0);
            put(
                body,
                format_args!(
                    r#"<text class="name mid" x="{x:.1}" y="{y:.1}">{}</text>"#,
                    escape(&self.x.name)
                ),
            );
        }
        if !self.y.name.is_empty() {
            let (x, y) = (left - 52.0, top - 10.0);
            put(
                body,
                format_args!(
                    r#"<text class="name" x="{x:.1}" y="{y:.1}">{}</text>"#,
                    escape(&self.y.name)
                ),
            );
        }
    }

    /// A line through points.
    pub fn line(&mut self, points: &[(f64, f64)], color: &str, class: &str) {
        if points.is_empty() {
            return;
        }
        let path = self.path(points.iter());
        put(
            &mut self.body,
            format_args!(r#"<path class="{class}" style="stroke:{color}" d="M{path}"/>"#),
        );
    }

    /// The area between two lines.
    pub fn band(&mut self, upper: &[(f64, f64)], lower: &[(f64, f64)], color: &str, class: &str) {
        if upper.is_empty() || lower.is_empty() {
            return;
        }
        let (there, back) = (self.path(upper.iter()), self.path(lower.iter().rev()));
        put(
            &mut self.body,
            format_args!(r#"<path class="{class}" style="fill:{color}" d="M{there}L{back}Z"/>"#),
        );
    }

    fn path<'a>(&self, points: impl Iterator<Item = &'a (f64, f64)>) -> String {
        let points = points.map(|&(x, y)| format!("{:.1},{:.1}", self.x.scale.at(x), self.y.scale.at(y)));
        points.collect::<Vec<_>>().join("L")
    }

    /// A dot, with a text that shows when it is pointed at.
    pub fn dot(&mut self, (x, y): (f64, f64), radius: f64, color: &str, class: &str, title: &str) {
        let (x, y) = (self.x.scale.at(x), self.y.scale.at(y));
        put(
            &mut self.body,
            format_args!(
                r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="{radius}" style="color:{color}"><title>{}</title></circle>"#,
                escape(title)
            ),
        );
    }

    /// A line over the whole height, at a value of x, with a name beside its foot.
    pub fn upright(&mut self, value: f64, name: &str, color: &str, class: &str) {
        let (_, (bottom, top)) = plot_area(self.size, &self.margins);
        let x = self.x.scale.at(value);
        put(
            &mut self.body,
            format_args!(
                r#"<line class="{class}" style="stroke:{color}" x1="{x:.1}" x2="{x:.1}" y1="{top:.1}" y2="{bottom:.1}"/>"#
            ),
        );
        if !name.is_empty() {
            let (x, y) = (x + 4.0, bottom - 7.0);
            put(
                &mut self.body,
                format_args!(
                    r#"<text class="mark" style="fill:{color}" x="{x:.1}" y="{y:.1}">{}</text>"#,
                    escape(name)
                ),
            );
        }
    }

    /// A text at a point.
    pub fn text(&mut self, (x, y): (f64, f64), (dx, dy): (f64, f64), text: &str, class: &str) {
        let (x, y) = (self.x.scale.at(x) + dx, self.y.scale.at(y) + dy);
        put(
            &mut self.body,
            format_args!(
                r#"<text class="{class}" x="{x:.1}" y="{y:.1}">{}</text>"#,
                escape(text)
            ),
        );
    }

    /// A name to the right of the last point of a line; names that would touch are moved apart.
    pub fn end_label(&mut self, (x, y): (f64, f64), name: &str, color: &str) {
        let place = (self.x.scale.at(x) + 7.0, self.y.scale.at(y) + 4.0);
        self.end_labels
            .push((place.0, place.1, name.into(), color.into()));
    }

    /// The SVG, described in a sentence for who can't see it.
    pub fn finish(mut self, description: &str) -> String {
        let (_, (bottom, top)) = plot_area(self.size, &self.margins);
        self.end_labels.sort_by(|a, b| a.1.total_cmp(&b.1));
        let mut wanted: Vec<f64> = self.end_labels.iter().map(|label| label.1).collect();
        spread(&mut wanted, (top + 6.0, bottom - 2.0));
        for ((x, _, name, color), y) in self.end_labels.iter().zip(wanted) {
            put(
                &mut self.body,
                format_args!(
                    r#"<text class="label" style="fill:{color}" x="{x:.1}" y="{y:.1}">{}</text>"#,
                    escape(name)
                ),
            );
        }
        let (width, height) = self.size;
        format!(
            r#"<svg viewBox="0 0 {width} {height}" role="img" aria-label="{}">{}</svg>"#,
            escape(description),
            self.body
        )
    }
}

/// Moves ascending places apart so that texts there don't touch, and keeps them within bounds as far as that goes.
fn spread(places: &mut [f64], (first, last): (f64, f64)) {
    let mut least = first;
    for place in places.iter_mut() {
        *place = place.max(least);
        least = *place + TEXT_PX;
    }
    let mut most = last;
    for place in places.iter_mut().rev() {
        *place = place.min(most);
        most = *place - TEXT_PX;
    }
}

fn put(body: &mut String, what: std::fmt::Arguments<'_>) {
    body.write_fmt(what).expect("a string takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_do_not_touch() {
        let mut places = [10.0, 12.0, 13.0, 99.0, 100.0];
        spread(&mut places, (0.0, 100.0));
        assert!(
            places.windows(2).all(|two| two[1] - two[0] >= TEXT_PX - 1e-9),
            "{places:?}"
        );
        assert!(places[4] <= 100.0);
    }
}
