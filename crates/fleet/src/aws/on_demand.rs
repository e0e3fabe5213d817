//! What types cost on demand: AWS's list prices for Linux with shared tenancy, as a table in this build.
//!
//! A table and not a call: the Price List API lives in few regions, needs rights of its own and answers in megabytes, for
//! prices that change about once a year. `make prices` writes the table anew from AWS's public price lists; its first
//! lines say of when and from where it is. What it lacks is unknown, which is neither zero nor infinite.
//! Source: <https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/using-the-aws-price-list-bulk-api.html>.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use runner_fleet_engine::InstanceType;

/// `region,instance_type,usd_per_hour`; lines that begin with `#` are comments.
const TABLE: &str = include_str!("on_demand_prices.csv");

type Table = BTreeMap<(&'static str, &'static str), f64>;

static PRICES: LazyLock<Table> = LazyLock::new(|| read(TABLE));

/// The prices of these types in a region, in USD per hour; types that the table lacks are left out.
pub fn of_region(region: &str, types: &BTreeSet<InstanceType>) -> BTreeMap<InstanceType, f64> {
    let price = |kind: &InstanceType| PRICES.get(&(region, kind.as_str())).map(|price| (kind.clone(), *price));
    types.iter().filter_map(price).collect()
}

/// A line that cannot be read is left out; the test below sees to it that there is none.
fn read(table: &'static str) -> Table {
    rows(table).filter_map(row).collect()
}

fn rows(table: &str) -> impl Iterator<Item = &str> {
    table.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn row(line: &'static str) -> Option<((&'static str, &'static str), f64)> {
    let mut fields = line.split(',');
    let (region, kind, price) = (fields.next()?, fields.next()?, fields.next()?);
    let price: f64 = price.parse().ok()?;
    (fields.next().is_none() && price.is_finite() && price > 0.0).then_some(((region, kind), price))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(region: &str, kind: &str) -> Option<f64> {
        of_region(region, &BTreeSet::from([InstanceType::new(kind)])).into_values().next()
    }

    #[test]
    fn every_line_of_the_table_is_a_price_and_none_is_there_twice() {
        let lines: Vec<&str> = rows(TABLE).collect();
        let bad: Vec<&&str> = lines.iter().filter(|line| row(line).is_none()).collect();
        assert!(bad.is_empty(), "{bad:?}");
        assert_eq!(PRICES.len(), lines.len());
    }

    #[test]
    fn the_table_says_of_when_and_from_where_it_is() {
        let said: String = TABLE.lines().take_while(|line| line.starts_with('#')).collect();
        assert!(said.contains("https://") && said.contains("20"), "{said}");
    }

    /// `make prices` makes a table that is read here, of the rows that mean an hour on demand and no others.
    #[test]
    fn the_script_reads_awss_price_list() {
        let here = env!("CARGO_MANIFEST_DIR");
        let script = runner_fleet_testing::repository().join("packaging/on-demand-prices");
        let output = std::process::Command::new("python3")
            .arg(script)
            .arg(format!("eu-central-1={here}/tests/recorded/aws/price_list.csv"))
            .output()
            .expect("python3 is needed for this test");
        assert!(output.status.success(), "{output:?}");
        let table: &'static str = String::from_utf8(output.stdout).unwrap().leak();
        let expected = Table::from([(("eu-central-1", "c8g.large"), 0.0908), (("eu-central-1", "t4g.large"), 0.0768)]);
        assert_eq!(read(table), expected, "{table}");
        assert_eq!(rows(table).count(), 2);
        assert!(table.contains("as of 2026-09-01"), "{table}");
    }

    #[test]
    fn known_prices_are_found_and_unknown_ones_are_not_made_up() {
        assert_eq!(price("us-east-1", "c7g.large"), Some(0.0725));
        assert_eq!(price("us-east-1", "z99.large"), None);
        assert_eq!(price("mars-north-1", "c7g.large"), None);
    }

    #[test]
    fn twice_the_size_costs_twice_as_much() {
        for family in ["c7g", "c8g", "m7g", "m8g", "r7g", "r8g", "t4g"] {
            let (large, xlarge) =
                (price("us-east-1", &format!("{family}.large")), price("us-east-1", &format!("{family}.xlarge")));
            let (large, xlarge) = (large.unwrap(), xlarge.unwrap());
            assert!((xlarge / large - 2.0).abs() < 0.01, "{family}: {large} {xlarge}");
        }
    }
}
