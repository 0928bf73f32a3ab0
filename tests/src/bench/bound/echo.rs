//! Measures the maximum throughput of echoes through the broker.

use std::time::Instant;

use futures_util::{FutureExt, StreamExt};
use lapin::options::BasicAckOptions;
use lapin::{Channel, Consumer, Result};

use super::connection::{BACK, Side, THERE};
use super::desk::Desk;
use super::load::WINDOW;

/// All deliveries up to this one.
const UP_TO: BasicAckOptions = BasicAckOptions { multiple: true };

/// Sends `count` messages, waits for all answers, and returns the rate per second.
pub(super) async fn rate(address: &str, count: usize) -> Result<f64> {
    let (mut asking, answering) = (Side::open(address, BACK).await?, Side::open(address, THERE).await?);
    let answers = tokio::spawn(answer(answering, count));
    let begun = Instant::now();
    ask(&mut asking, count).await?;
    let rate = count as f64 / begun.elapsed().as_secs_f64();
    answers.await.expect("the answering task does not panic")?;
    asking.close().await?;
    Ok(rate)
}

/// Sends messages with a window of confirms and waits for all answers.
async fn ask(side: &mut Side, count: usize) -> Result<()> {
    let mut desk = Desk::new(side.publishing.clone(), THERE);
    let (mut sent, mut answered) = (0, 0);
    while answered < count {
        while sent < count && desk.open() < usize::from(WINDOW) {
            desk.send(());
            sent += 1;
        }
        tokio::select! {
            confirmed = desk.confirmed() => drop(confirmed?),
            tags = take(&mut side.consumer) => {
                let tags = tags?;
                answered += tags.len();
                acknowledge(&side.consuming, tags.last()).await?;
            }
        }
    }
    Ok(())
}

/// Answers all messages. A message is acknowledged when its answer is confirmed.
async fn answer(mut side: Side, count: usize) -> Result<()> {
    let mut desk = Desk::new(side.publishing.clone(), BACK);
    let mut begun = 0;
    while begun < count || desk.open() > 0 {
        tokio::select! {
            confirmed = desk.confirmed() => acknowledge(&side.consuming, Some(&confirmed?)).await?,
            tags = take(&mut side.consumer) => {
                let tags = tags?;
                begun += tags.len();
                tags.into_iter().for_each(|tag| desk.send(tag));
            }
        }
    }
    side.close().await
}

/// Waits for a delivery, and takes further ones that have already arrived.
async fn take(consumer: &mut Consumer) -> Result<Vec<u64>> {
    let first = consumer.next().await.expect("the queue stays")?;
    let mut tags = vec![first.delivery_tag];
    while tags.len() < usize::from(WINDOW)
        && let Some(Some(delivery)) = consumer.next().now_or_never()
    {
        tags.push(delivery?.delivery_tag);
    }
    Ok(tags)
}

async fn acknowledge(channel: &Channel, last: Option<&u64>) -> Result<()> {
    if let Some(tag) = last {
        channel.basic_ack(*tag, UP_TO).await?;
    }
    Ok(())
}
