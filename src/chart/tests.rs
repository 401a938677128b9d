//! What every picture is: XML that a parser takes, with nothing outside of its card.

use proptest::prelude::*;
use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};

use super::*;

/// Every element of a document and all of its text; panics unless it is well-formed.
fn parse(svg: &str) -> (Vec<BytesStart<'static>>, String) {
    let mut reader = Reader::from_str(svg);
    reader.config_mut().check_end_names = true;
    let (mut elements, mut text, mut depth) = (vec![], String::new(), 0_i32);
    loop {
        match reader.read_event().expect("well-formed") {
            Event::Start(element) => {
                depth += 1;
                elements.push(element.into_owned());
            }
            Event::Empty(element) => elements.push(element.into_owned()),
            Event::End(_) => depth -= 1,
            Event::Text(part) => text.push_str(&part.decode().expect("UTF-8")),
            Event::GeneralRef(name) => text.push_str(&format!("&{};", name.decode().expect("UTF-8"))),
            Event::Eof => break,
            other => panic!("no part of our pictures: {other:?}"),
        }
    }
    assert_eq!(depth, 0, "every element ends");
    (elements, text)
}

fn numbers(element: &BytesStart<'_>, names: &[&str]) -> Vec<f64> {
    let value = |name: &&str| {
        let attribute = element.try_get_attribute(name).expect("attributes")?;
        Some(String::from_utf8(attribute.value.to_vec()).expect("UTF-8").parse().expect("a number"))
    };
    names.iter().filter_map(value).collect()
}

/// All coordinates lie on the card; returns how many there were.
fn assert_on_the_card(svg: &str) -> usize {
    let (elements, _) = parse(svg);
    let size = numbers(&elements[0], &["width", "height"]);
    let mut seen = 0;
    for element in &elements {
        for (names, size) in [(["x", "x1", "x2", "cx"], size[0]), (["y", "y1", "y2", "cy"], size[1])] {
            for at in numbers(element, &names) {
                assert!((0.0..=size).contains(&at), "{element:?}");
                seen += 1;
            }
        }
        let place = numbers(element, &["x", "y", "width", "height"]);
        if let ([x, y, width, height], b"rect") = (place.as_slice(), element.name().as_ref()) {
            assert!(
                *width >= 0.0 && *height >= 0.0 && x + width <= size[0] && y + height <= size[1],
                "{element:?}"
            );
        }
        let attribute = element.try_get_attribute("d").expect("attributes");
        for point in attribute.iter().flat_map(|path| path.value.split(|byte| b"ML".contains(byte)).skip(1)) {
            let point = std::str::from_utf8(point).expect("UTF-8");
            let (x, y) = point.split_once(' ').expect("two numbers");
            let (x, y): (f64, f64) = (x.parse().expect("a number"), y.parse().expect("a number"));
            assert!((0.0..=size[0]).contains(&x) && (0.0..=size[1]).contains(&y), "{point}");
        }
    }
    seen
}

fn figure(points: Vec<(f64, f64)>, label: &str) -> Figure {
    let scale = |value: fn(&(f64, f64)) -> f64| Scale::around(points.iter().map(value));
    let axis = |scale| Axis { label: label.into(), scale };
    let heights = points.iter().map(|&(x, y)| Column { from: x, to: x + 1.0, height: y });
    Figure {
        title: label.into(),
        subtitle: label.into(),
        x: axis(scale(|point| point.0)),
        y: axis(scale(|point| point.1)),
        layers: vec![
            Layer::Columns { columns: heights.take(30).collect(), tone: Tone::Muted, legend: String::new() },
            Layer::Line {
                points: points.clone(),
                tone: Tone::Second,
                dashed: true,
                dots: false,
                legend: label.into(),
            },
            Layer::Points { points, legend: label.into() },
        ],
    }
}

proptest! {
    #[test]
    fn any_numbers_and_names_give_a_picture(
        points in prop::collection::vec((any::<f64>(), any::<f64>()), 0..40),
        shares in prop::collection::vec((any::<String>(), any::<f64>()), 0..40),
        name in any::<String>(),
        counts in any::<[[u32; 2]; 2]>(),
    ) {
        assert_on_the_card(&figure(points, &name).svg());
        let shares: Vec<_> = shares.iter().map(|(name, share)| (name.as_str(), *share)).collect();
        assert_on_the_card(&bars(&name, &name, &shares));
        let counts = counts.map(|row| row.map(u64::from));
        assert_on_the_card(&matrix(&name, &name, [&name, &name], [&name, &name], counts));
    }
}

#[test]
fn ordinary_constant_lonely_and_absent_points_are_drawn() {
    for points in [vec![(1.0, 2.0), (3.0, 4.0)], vec![(5.0, 5.0); 9], vec![(1e6, -1e-6)], vec![]] {
        let drawn = points.len();
        let svg = figure(points, "ordinary").svg();
        assert!(assert_on_the_card(&svg) > 20, "axes at least");
        assert_eq!(svg.matches(r#"r="3""#).count(), drawn);
    }
}

#[test]
fn a_name_is_text_and_never_markup() {
    let name = r#"<script>alert("x & y")</script><image href='x' onerror=1>"#;
    for svg in [
        figure(vec![(0.0, 0.0)], name).svg(),
        bars(name, name, &[(name, 0.5)]),
        matrix(name, name, [name, name], [name, name], [[1, 2], [3, 4]]),
    ] {
        let (elements, text) = parse(&svg);
        for element in &elements {
            let name = element.name();
            let known: [&[u8]; 10] =
                [b"svg", b"title", b"desc", b"style", b"rect", b"text", b"g", b"line", b"circle", b"path"];
            assert!(known.contains(&name.as_ref()), "{element:?}");
        }
        assert!(text.contains("&lt;script&gt;alert(&quot;x &amp; y&quot;)"), "{text}");
    }
}

#[test]
fn many_points_are_a_density_of_bounded_size() {
    let points = (0..100_000).map(|i| (f64::from(i % 317), f64::from(i % 1009))).collect();
    let mut figure = figure(points, "many");
    figure.layers.retain(|layer| matches!(layer, Layer::Points { .. }));
    let svg = figure.svg();
    assert_on_the_card(&svg);
    assert!(svg.len() < 300_000 && !svg.contains(r#"r="3""#), "{} bytes", svg.len());
}

#[test]
fn forty_long_names_are_twenty_bars_that_do_not_touch() {
    let names: Vec<String> =
        (0..40).map(|i| format!("{i}{}", "feature of a very long name ".repeat(9))).collect();
    let shares: Vec<_> = names.iter().map(|name| (name.as_str(), 0.025)).collect();
    let svg = bars("Importance", "", &shares);
    let (elements, text) = parse(&svg);
    let heights: Vec<_> = elements
        .iter()
        .filter(|element| element.name().as_ref() == b"rect")
        .map(|bar| numbers(bar, &["y", "height"]))
        .skip(1)
        .collect();
    assert_eq!(heights.len(), 20);
    assert!(heights.windows(2).all(|pair| pair[0][0] + pair[0][1] < pair[1][0]));
    assert!(text.contains("and 20 more with 50.0% together") && !text.contains(&names[0]), "{text}");
}
