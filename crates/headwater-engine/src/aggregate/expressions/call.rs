//! Operators that are plain functions of their evaluated arguments.

use super::{Expression, Frame, Path, Scope};
use crate::bson::{Raw, Type, Value};
use crate::collation::ValueOrder;
use crate::error::{Error, Result};

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
            (Function::One(run), [arg]) => run(arg.eval(frame)?),
            (Function::Two(run), [left, right]) => {
                let left = left.eval(frame)?;
                run(left, right.eval(frame)?)
            }
            (Function::TwoOrdered(run), [left, right]) => {
                let left = left.eval(frame)?;
                run(&self.order, left, right.eval(frame)?)
            }
            (Function::Many(run), args) => run(values(args, frame)?),
            (Function::ManyOrdered(run), args) => run(&self.order, values(args, frame)?),
            _ => Err(wrong_count(self.name, 1, 2, self.args.len())),
        }
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

fn values<'a>(args: &'a [Expression], frame: &mut Frame<'a>) -> Result<Vec<Value<'a>>> {
    args.iter().map(|arg| arg.eval(frame)).collect()
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
