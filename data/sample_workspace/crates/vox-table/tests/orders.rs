//! A small report over two delimited files, from text to rendered table.

use vox_table::csv;
use vox_table::group::{group_by, Sum};
use vox_table::index::SortedIndex;
use vox_table::join::{equi_join, JoinKind};
use vox_table::predicate::pushdown::{index_range, push_down};
use vox_table::predicate::{filter, Op};
use vox_table::{Predicate, Value};

const ORDERS: &str = "order,customer,amount\n1,10,25\n2,11,5\n3,10,40\n4,12,60\n";
const CUSTOMERS: &str = "id,name\n10,Ada\n11,Bo\n";

#[test]
fn joined_report() {
    let orders = csv::read(ORDERS, ',').unwrap();
    let customers = csv::read(CUSTOMERS, ',').unwrap();
    let joined = equi_join(&orders, "customer", &customers, "id", JoinKind::Left).unwrap();
    let totals = group_by(&joined, &["name"], "amount", "total", Sum::default).unwrap();
    assert_eq!(
        totals.render(20),
        "name  total\n----  -----\n         60\nAda      65\nBo        5"
    );
}

#[test]
fn pushed_filter_agrees_with_the_index() {
    let orders = csv::read(ORDERS, ',').unwrap();
    let customers = csv::read(CUSTOMERS, ',').unwrap();
    let condition = Predicate::All(vec![
        Predicate::Compare("amount".into(), Op::Ge, Value::Int(20)),
        Predicate::Compare("amount".into(), Op::Lt, Value::Int(60)),
        Predicate::Compare("name".into(), Op::Eq, Value::from("Ada")),
    ]);
    let split = push_down(&condition, &orders.columns, &customers.columns);
    assert!(split.rest.is_empty());
    let (low, high) = index_range(&split.left, "amount");
    let index = SortedIndex::build(&orders, "amount").unwrap();
    let by_index: Vec<usize> = index.range(low, high).collect();
    let filtered = filter(&orders, &Predicate::All(split.left.clone())).unwrap();
    assert_eq!(by_index, [0, 2]);
    assert_eq!(
        filtered.rows,
        vec![orders.rows[0].clone(), orders.rows[2].clone()]
    );
}
