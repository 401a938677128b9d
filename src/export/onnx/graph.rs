//! ONNX's messages, as far as our graphs need them. Field numbers are those of `onnx.proto`.

use super::protobuf::Message;

/// The domain of tree ensembles.
pub(super) const ML_DOMAIN: &str = "ai.onnx.ml";

const IR_VERSION: i64 = 8;
const OPSET: i64 = 13;
const ML_OPSET: i64 = 1;

/// `TensorProto.DataType`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Type {
    Float = 1,
    Int64 = 7,
    Double = 11,
}

/// A constant: a scalar or a vector.
#[derive(Debug, Clone, Copy)]
pub(super) enum Tensor<'a> {
    Double(f64),
    Int64(i64),
    Int64s(&'a [i64]),
}

/// Value of an operator's attribute.
#[derive(Debug, Clone)]
pub(super) enum Attribute {
    Int(i64),
    Text(&'static str),
    Ints(Vec<i64>),
    Floats(Vec<f32>),
    Texts(Vec<&'static str>),
}

/// A graph under construction; nodes stand in the order in which they are computed.
#[derive(Debug)]
pub(super) struct Graph(Message);

impl Graph {
    pub(super) fn new() -> Self {
        let mut graph = Message::default();
        graph.text(2, "ensemble");
        Self(graph)
    }

    /// A dimension that is `None` is the number of rows.
    pub(super) fn input(&mut self, name: &str, element: Type, shape: &[Option<usize>]) {
        self.0.message(11, &value_info(name, element, shape));
    }

    /// An output of one value a row.
    pub(super) fn output(&mut self, name: &str, element: Type) {
        self.0.message(12, &value_info(name, element, &[None]));
    }

    pub(super) fn constant(&mut self, name: &str, value: &Tensor<'_>) {
        let mut tensor = Message::default();
        let (element, bytes) = match *value {
            Tensor::Double(number) => (Type::Double, number.to_le_bytes().to_vec()),
            Tensor::Int64(number) => (Type::Int64, number.to_le_bytes().to_vec()),
            Tensor::Int64s(numbers) => {
                tensor.int(1, numbers.len() as i64);
                (Type::Int64, numbers.iter().flat_map(|number| number.to_le_bytes()).collect())
            }
        };
        tensor.int(2, element as i64);
        tensor.text(8, name);
        tensor.bytes(9, &bytes);
        self.0.message(5, &tensor);
    }

    pub(super) fn node(&mut self, operator: &str, inputs: &[&str], output: &str) {
        self.node_of("", operator, inputs, output, &[]);
    }

    pub(super) fn cast(&mut self, input: &str, output: &str, to: Type) {
        self.node_of("", "Cast", &[input], output, &[("to", Attribute::Int(to as i64))]);
    }

    pub(super) fn node_of(
        &mut self,
        domain: &str,
        operator: &str,
        inputs: &[&str],
        output: &str,
        attributes: &[(&str, Attribute)],
    ) {
        let mut node = Message::default();
        inputs.iter().for_each(|input| node.text(1, input));
        node.text(2, output);
        node.text(3, output);
        node.text(4, operator);
        attributes.iter().for_each(|(name, value)| node.message(5, &value.message(name)));
        node.text(7, domain);
        self.0.message(1, &node);
    }

    /// The bytes of the model file.
    pub(super) fn model(self) -> Vec<u8> {
        let mut model = Message::default();
        model.int(1, IR_VERSION);
        model.text(2, "binah-ml");
        model.text(3, env!("CARGO_PKG_VERSION"));
        model.message(7, &self.0);
        for (domain, version) in [("", OPSET), (ML_DOMAIN, ML_OPSET)] {
            let mut opset = Message::default();
            opset.text(1, domain);
            opset.int(2, version);
            model.message(8, &opset);
        }
        model.into_bytes()
    }
}

fn value_info(name: &str, element: Type, shape: &[Option<usize>]) -> Message {
    let mut dimensions = Message::default();
    for length in shape {
        let mut dimension = Message::default();
        match length {
            Some(length) => dimension.int(1, *length as i64),
            None => dimension.text(2, "N"),
        }
        dimensions.message(1, &dimension);
    }
    let mut tensor = Message::default();
    tensor.int(1, element as i64);
    tensor.message(2, &dimensions);
    let mut kind = Message::default();
    kind.message(1, &tensor);
    let mut info = Message::default();
    info.text(1, name);
    info.message(2, &kind);
    info
}

impl Attribute {
    fn message(&self, name: &str) -> Message {
        let mut attribute = Message::default();
        attribute.text(1, name);
        let kind = match self {
            Self::Int(value) => {
                attribute.int(3, *value);
                2
            }
            Self::Text(value) => {
                attribute.text(4, value);
                3
            }
            Self::Floats(values) => {
                attribute.floats(7, values);
                6
            }
            Self::Ints(values) => {
                attribute.ints(8, values);
                7
            }
            Self::Texts(values) => {
                values.iter().for_each(|value| attribute.text(9, value));
                8
            }
        };
        attribute.int(20, kind);
        attribute
    }
}
