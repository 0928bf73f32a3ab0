//! Measures the round trip of one message at a time on an idle broker.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use lapin::Result;
use lapin::options::BasicAckOptions;

use super::connection::{BACK, Side, THERE};
use super::desk::Desk;
use crate::bench::figure::percentile;

/// Number of warm-up messages that are not measured.
const WARM_UP: usize = 20;

/// Sends a message, waits for its answer, and so on; the median of the times. Confirms and acknowledgements go beside,
/// as they do in Hub.
pub(super) async fn median(address: &str, count: usize) -> Result<Duration> {
    let (mut asking, answering) = (Side::open(address, BACK).await?, Side::open(address, THERE).await?);
    let answers = tokio::spawn(answer(answering, count + WARM_UP));
    let mut desk = Desk::new(asking.publishing.clone(), THERE);
    let mut times = Vec::with_capacity(count);
    for at in 0..count + WARM_UP {
        let begun = Instant::now();
        desk.send(());
        let delivery = loop {
            tokio::select! {
                biased;
                delivery = asking.consumer.next() => break delivery.expect("the queue stays")?,
                confirmed = desk.confirmed() => drop(confirmed?),
            }
        };
        if at >= WARM_UP {
            times.push(begun.elapsed().as_secs_f64());
        }
        delivery.ack(BasicAckOptions::default()).await?;
    }
    answers.await.expect("the answering task does not panic")?;
    asking.close().await?;
    Ok(Duration::from_secs_f64(percentile(&times, 0.5)))
}

async fn answer(mut side: Side, count: usize) -> Result<()> {
    let mut desk = Desk::new(side.publishing.clone(), BACK);
    let mut begun = 0;
    while begun < count || desk.open() > 0 {
        tokio::select! {
            biased;
            delivery = side.consumer.next() => {
                desk.send(delivery.expect("the queue stays")?.delivery_tag);
                begun += 1;
            }
            confirmed = desk.confirmed() => {
                side.consuming.basic_ack(confirmed?, BasicAckOptions { multiple: true }).await?;
            }
        }
    }
    side.close().await
}
