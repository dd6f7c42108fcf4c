//! Operators that are plain functions of their evaluated arguments.

use super::{Expression, Frame, Path, Scope};
use crate::bson::{ArrayWriter, Raw, Type, Value};
use crate::collation::ValueOrder;
use crate::error::{Error, Result};
use crate::interrupt::spend;

/// Arguments of no more bytes are not counted.
const SMALL_BYTES: usize = 256;

/// The function of an operator, by how many arguments it takes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Function {
    /// Of one argument.
    One(for<'a> fn(Value<'a>) -> Result<Value<'a>>),
    /// Of two arguments.
    Two(for<'a> fn(Value<'a>, Value<'a>) -> Result<Value<'a>>),
    /// Of any number of arguments.
    Many(for<'a> fn(Vec<Value<'a>>) -> Result<Value<'a>>),
    /// Of two arguments and the order of values.
    TwoOrdered(for<'a> fn(&ValueOrder, Value<'a>, Value<'a>) -> Result<Value<'a>>),
    /// Of any number of arguments and the order of values.
    ManyOrdered(for<'a> fn(&ValueOrder, Vec<Value<'a>>) -> Result<Value<'a>>),
}

/// A function with its arguments.
#[derive(Debug)]
pub struct Call {
    name: &'static str,
    function: Function,
    args: Box<[Expression]>,
    order: ValueOrder,
}

impl Expression {
    /// What has to be true for this expression to be: the arguments of `$and`, else itself.
    pub(crate) fn conjuncts(&self) -> Vec<&Expression> {
        match self {
            Expression::Special(operator) => match operator.conjuncts() {
                Some(all) => all.iter().flat_map(Expression::conjuncts).collect(),
                None => vec![self],
            },
            _ => vec![self],
        }
    }

    /// The path, operator and constant of a comparison between a field and a constant, turned so that the field stands
    /// first.
    pub(crate) fn comparison(&self) -> Option<(&Path, &'static str, &Value<'static>)> {
        let Expression::Call(call) = self else { return None };
        let [one, other] = &*call.args else { return None };
        let (field, constant, name) = match (one, other) {
            (Expression::Field(field), Expression::Constant(constant)) => {
                (field, constant, call.name)
            }
            (Expression::Constant(constant), Expression::Field(field)) => {
                let turned = match call.name {
                    "$gt" => "$lt",
                    "$gte" => "$lte",
                    "$lt" => "$gt",
                    "$lte" => "$gte",
                    name => name,
                };
                (field, constant, turned)
            }
            _ => return None,
        };
        matches!(name, "$eq" | "$gt" | "$gte" | "$lt" | "$lte").then_some((field, name, constant))
    }
}

/// Counts what an operator has to go through, if that is much.
///
/// # Errors
/// What interrupts the command.
#[inline]
fn weigh(value: &Value<'_>) -> Result<()> {
    match value.raw() {
        Some(raw) if raw.data.len() > SMALL_BYTES => spend(raw.data.len()),
        _ => Ok(()),
    }
}

/// Whether an operator of two arguments looks at the right one first.
fn is_right_first(name: &str) -> bool {
    const NAMES: [&str; 10] =
        ["$cmp", "$divide", "$eq", "$gt", "$gte", "$lt", "$lte", "$mod", "$ne", "$subtract"];
    NAMES.contains(&name)
}

impl Call {
    /// The operator's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The arguments.
    pub fn args(&self) -> &[Expression] {
        &self.args
    }

    #[inline]
    pub(super) fn eval<'a>(&'a self, frame: &mut Frame<'a>) -> Result<Value<'a>> {
        match (&self.function, &*self.args) {
            (Function::One(run), [arg]) => {
                let value = arg.eval(frame)?;
                weigh(&value)?;
                run(value)
            }
            (Function::Two(_) | Function::TwoOrdered(_), [left, right]) => {
                let left = match left.eval(frame) {
                    Ok(left) => left,
                    // Of two faults MongoDB tells the right one.
                    Err(error) if is_right_first(self.name) => {
                        return Err(right.eval(frame).err().unwrap_or(error));
                    }
                    Err(error) => return Err(error),
                };
                match right.eval(frame) {
                    Ok(right) => self.run_two(left, right),
                    Err(error) => self.decided(vec![left], error),
                }
            }
            (Function::Many(_) | Function::ManyOrdered(_), args) => {
                let mut values = Vec::with_capacity(args.len());
                for arg in args {
                    match arg.eval(frame) {
                        Ok(value) => values.push(value),
                        Err(error) => return self.decided(values, error),
                    }
                }
                self.run_many(values)
            }
            _ => Err(wrong_count(self.name, 1, 2, self.args.len())),
        }
    }

    #[inline]
    fn run_two<'a>(&self, left: Value<'a>, right: Value<'a>) -> Result<Value<'a>> {
        weigh(&left)?;
        weigh(&right)?;
        match &self.function {
            Function::Two(run) => run(left, right),
            Function::TwoOrdered(run) => run(&self.order, left, right),
            _ => Err(wrong_count(self.name, 1, 2, self.args.len())),
        }
    }

    #[inline]
    fn run_many<'a>(&self, values: Vec<Value<'a>>) -> Result<Value<'a>> {
        values.iter().try_for_each(weigh)?;
        match &self.function {
            Function::Many(run) => run(values),
            Function::ManyOrdered(run) => run(&self.order, values),
            _ => Err(wrong_count(self.name, 1, 2, self.args.len())),
        }
    }

    /// The answer where the argument behind `values` raises `error`. MongoDB looks at each argument of these operators
    /// before it evaluates the next: what the values before raise comes first, and a null among them is the answer.
    #[cold]
    fn decided<'a>(&self, mut values: Vec<Value<'a>>, error: Error) -> Result<Value<'a>> {
        let looked_at = match self.name {
            "$slice" | "$range" => 2,
            "$add" | "$multiply" | "$concat" | "$concatArrays" | "$setUnion" | "$setEquals"
            | "$setIntersection" | "$mergeObjects" | "$bitAnd" | "$bitOr" | "$bitXor"
            | "$atan2" | "$setIsSubset" | "$round" | "$trunc" | "$indexOfArray"
            | "$indexOfBytes" | "$indexOfCP" => 1,
            _ => return Err(error),
        };
        if values.len() < looked_at {
            return Err(error);
        }
        // Something harmless where an argument has to stand.
        match (self.name, values.len()) {
            ("$indexOfBytes" | "$indexOfCP", 1) => values.push(Value::str("")),
            ("$indexOfArray" | "$atan2", 1) => values.push(Value::i32(1)),
            ("$setIsSubset", 1) => values.push(Value::array(ArrayWriter::new().into_bytes())),
            _ => {}
        }
        let answer = match &self.function {
            Function::Two(_) | Function::TwoOrdered(_) => match (values.pop(), values.pop()) {
                (Some(right), Some(left)) => self.run_two(left, right)?,
                _ => return Err(error),
            },
            _ => self.run_many(values)?,
        };
        let unequal =
            self.name == "$setEquals" && answer.raw().and_then(Raw::as_bool) == Some(false);
        if answer.is_nullish() || unequal { Ok(answer) } else { Err(error) }
    }

    /// Compiles a call of a function that takes `min` to `max` arguments.
    pub(super) fn parse(
        name: &'static str,
        function: Function,
        count: (usize, usize),
        argument: Raw<'_>,
        scope: &mut Scope,
    ) -> Result<Expression> {
        let args = arguments(argument, scope)?;
        Call::of(name, function, count, args, scope)
    }

    /// A call with compiled arguments.
    pub(super) fn of(
        name: &'static str,
        function: Function,
        (min, max): (usize, usize),
        args: Vec<Expression>,
        scope: &mut Scope,
    ) -> Result<Expression> {
        if args.len() < min || args.len() > max {
            return Err(wrong_count(name, min, max, args.len()));
        }
        let constant = args.iter().all(|arg| matches!(arg, Expression::Constant(_)));
        let order = scope.order().clone();
        let args = if constant { args } else { joined(name, function, args, scope) };
        let call = Expression::Call(Box::new(Call { name, function, args: args.into(), order }));
        Ok(if constant { call.folding(scope) } else { call })
    }
}

/// Evaluates constants that stand among other arguments, as far as MongoDB does: of an operator for which order does not
/// matter all of them, behind the others; of one for which it does those that stand together; of sums and products only
/// those at the front, since rounding depends on the order.
fn joined(
    name: &'static str,
    function: Function,
    args: Vec<Expression>,
    scope: &mut Scope,
) -> Vec<Expression> {
    let is_constant = |arg: &Expression| matches!(arg, Expression::Constant(_));
    let mut join = |constants: Vec<Expression>| match constants.len() {
        0 | 1 => constants,
        _ => {
            let order = scope.order().clone();
            let call = Call { name, function, args: constants.into(), order };
            match Expression::Call(Box::new(call)).folding(scope) {
                // What fails now fails again when there is a document.
                Expression::Call(call) => call.args.into_vec(),
                value => vec![value],
            }
        }
    };
    match name {
        "$bitAnd" | "$bitOr" | "$bitXor" | "$max" | "$min" | "$setIntersection" | "$setUnion"
        | "$sum" => {
            let (constants, mut others): (Vec<_>, Vec<_>) = args.into_iter().partition(is_constant);
            others.extend(join(constants));
            others
        }
        "$add" | "$multiply" => {
            let front = args.iter().take_while(|arg| is_constant(arg)).count();
            let mut constants = args;
            let behind = constants.split_off(front);
            let mut all = join(constants);
            all.extend(behind);
            all
        }
        "$concat" | "$concatArrays" => {
            let (mut all, mut run) = (Vec::new(), Vec::new());
            for arg in args {
                if is_constant(&arg) {
                    run.push(arg);
                    continue;
                }
                all.extend(join(std::mem::take(&mut run)));
                all.push(arg);
            }
            all.extend(join(run));
            all
        }
        _ => args,
    }
}

/// Compiles an operator's arguments: the values of an array, or anything else as the only one.
pub(super) fn arguments(argument: Raw<'_>, scope: &mut Scope) -> Result<Vec<Expression>> {
    match argument.kind {
        Type::Array => scope.nested(|scope| {
            let values = argument.as_array().into_iter().flat_map(|array| array.iter());
            values.map(|value| Expression::parse(value, scope)).collect()
        }),
        _ => Ok(vec![Expression::parse(argument, scope)?]),
    }
}

#[cold]
pub(super) fn wrong_count(name: &str, min: usize, max: usize, given: usize) -> Error {
    if min == max {
        let message =
            format!("Expression {name} takes exactly {min} arguments. {given} were passed in.");
        return Error::location(16020, message);
    }
    let message = format!(
        "Expression {name} takes at least {min} arguments, and at most {max}, but {given} were passed in."
    );
    Error::location(28667, message)
}
