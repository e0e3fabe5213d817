//! What spot capacity costs now: the latest price of each type and zone.
//!
//! Promises and oddities: asked with one moment as start and end, EC2 answers with the price in force at that moment, one
//! row per type, zone and product; rows come newest first where there are several; a page may be empty and not the last.
//! A row that cannot be read is left out, so that its offering's price is unknown; a page that fails fails the read.
//! API: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSpotPriceHistory.html>.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::primitives::DateTime;
use aws_sdk_ec2::types::{InstanceType as SdkType, SpotPrice};
use jiff::Timestamp;

use super::client::Aws;
use super::error::AwsError;
use runner_fleet_engine::{InstanceType, Zone};

const HISTORY: &str = "ec2:DescribeSpotPriceHistory";
const DOING: &str = "read spot prices";
/// Linux in a VPC; `Linux/UNIX (Amazon VPC)` is the name that accounts with EC2-Classic saw.
const PRODUCT: &str = "Linux/UNIX";
/// 60 types in 6 zones are 360 rows; a page holds 1,000.
const PAGES_MAX: usize = 10;

impl Aws {
    /// The spot prices of these types in all zones of the region, in USD per hour for Linux, as of `now`.
    ///
    /// # Errors
    /// A page failed, or there is no end of pages: then no price is known.
    pub async fn spot_prices(
        &self,
        types: &BTreeSet<InstanceType>,
        now: Timestamp,
    ) -> Result<BTreeMap<(InstanceType, Zone), f64>, AwsError> {
        let moment = DateTime::from_secs(now.as_second());
        let names = types.iter().map(|kind| SdkType::from(kind.as_str())).collect();
        let request = self
            .ec2
            .describe_spot_price_history()
            .set_instance_types(Some(names))
            .product_descriptions(PRODUCT)
            .start_time(moment)
            .end_time(moment)
            .max_results(1_000);
        let (mut found, mut token) = (BTreeMap::new(), None);
        for _ in 0..PAGES_MAX {
            let page = request.clone().set_next_token(token).send().await.map_err(self.failed(DOING, HISTORY))?;
            for (place, since, price) in page.spot_price_history().iter().filter_map(read) {
                let known = found.entry(place).or_insert((since, price));
                if known.0 < since {
                    *known = (since, price);
                }
            }
            token = page.next_token().filter(|token| !token.is_empty()).map(ToOwned::to_owned);
            if token.is_none() {
                return Ok(found.into_iter().map(|(place, (_, price))| (place, price)).collect());
            }
        }
        Err(self.unusable(DOING, HISTORY, format!("more than {PAGES_MAX} pages")))
    }
}

/// One row: where, since when in seconds, and how much.
fn read(row: &SpotPrice) -> Option<((InstanceType, Zone), i64, f64)> {
    let is_linux = row.product_description().is_none_or(|product| product.as_str() == PRODUCT);
    let kind = row.instance_type().map(|kind| InstanceType::new(kind.as_str()))?;
    let zone = row.availability_zone().filter(|zone| !zone.is_empty()).map(Zone::new)?;
    let price: f64 = row.spot_price()?.parse().ok()?;
    let since = row.timestamp().map_or(i64::MIN, DateTime::secs);
    (is_linux && price.is_finite() && price > 0.0).then_some(((kind, zone), since, price))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::replay::{Answer, aws_with};

    const PAGE: &str = include_str!("../../tests/recorded/aws/describe_spot_price_history.xml");
    const EMPTY: &str = "<DescribeSpotPriceHistoryResponse><spotPriceHistorySet/></DescribeSpotPriceHistoryResponse>";

    fn types() -> BTreeSet<InstanceType> {
        ["c8g.large", "c7g.large"].map(InstanceType::new).into()
    }

    fn at() -> Timestamp {
        "2026-09-01T08:00:00Z".parse().unwrap()
    }

    fn shown(prices: &BTreeMap<(InstanceType, Zone), f64>) -> Vec<String> {
        prices.iter().map(|((kind, zone), price)| format!("{kind} {zone} {price}")).collect()
    }

    #[tokio::test]
    async fn the_newest_price_of_each_type_and_zone_counts() {
        let (aws, replay) = aws_with([Answer::xml(200, PAGE)]);
        let prices = aws.spot_prices(&types(), at()).await.unwrap();
        let expected =
            ["c7g.large eu-central-1a 0.0312", "c8g.large eu-central-1a 0.0334", "c8g.large eu-central-1b 0.0391"];
        assert_eq!(shown(&prices), expected);
        insta::assert_snapshot!("describe_spot_price_history", replay.wire(0));
    }

    #[tokio::test]
    async fn all_pages_are_read_and_one_that_fails_fails_the_look() {
        let more = PAGE.replace("<nextToken></nextToken>", "<nextToken>more</nextToken>");
        assert_ne!(more, PAGE);
        let (aws, replay) = aws_with([Answer::xml(200, &more), Answer::xml(200, EMPTY)]);
        assert_eq!(aws.spot_prices(&types(), at()).await.unwrap().len(), 3);
        assert!(replay.wire(1).contains("NextToken=more"), "{}", replay.wire(1));

        let denied = || Answer::ec2_error(403, "UnauthorizedOperation", "no");
        for second in [denied(), Answer::xml(200, &PAGE[..PAGE.len() / 2]), Answer::xml(200, "<html/>")] {
            let (aws, _) = aws_with([Answer::xml(200, &more), second]);
            assert!(aws.spot_prices(&types(), at()).await.is_err());
        }
        let (aws, _) = aws_with((0..=PAGES_MAX).map(|_| Answer::xml(200, &more)));
        let error = aws.spot_prices(&types(), at()).await.unwrap_err();
        assert!(error.to_string().contains("more than 10 pages"), "{error}");
    }

    #[tokio::test]
    async fn rows_that_say_nothing_are_left_out() {
        for (what, with) in [
            ("<spotPrice>0.039100</spotPrice>", "<spotPrice>cheap</spotPrice>"),
            ("<spotPrice>0.039100</spotPrice>", "<spotPrice>NaN</spotPrice>"),
            ("<spotPrice>0.039100</spotPrice>", "<spotPrice>0.0</spotPrice>"),
            ("<spotPrice>0.039100</spotPrice>", ""),
            ("<availabilityZone>eu-central-1b</availabilityZone>", ""),
        ] {
            assert!(PAGE.contains(what), "{what}");
            let (aws, _) = aws_with([Answer::xml(200, &PAGE.replace(what, with))]);
            assert_eq!(aws.spot_prices(&types(), at()).await.unwrap().len(), 2, "{what} as {with}");
        }
    }
}
