//! Owns what the cores are told to do, and how a connection hears of it.

use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use tokio::sync::watch;

/// What the cores are told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Orders {
    /// Serve.
    Serve,
    /// Accept nobody, finish what is in flight, and end.
    Drain,
    /// End at once.
    Leave,
}

/// Waits until the program is to end; also where nobody can say so any more.
pub async fn stopped(orders: &mut watch::Receiver<Orders>) {
    orders.wait_for(|orders| *orders != Orders::Serve).await.ok();
}

/// Waits until the program ends at once.
pub(super) async fn cut(mut orders: watch::Receiver<Orders>) {
    if orders.wait_for(|orders| *orders == Orders::Leave).await.is_err() {
        // Nobody can say so any more.
        std::future::pending::<()>().await;
    }
}

/// The orders, looked at cheaply: a connection is polled for many other reasons.
pub(super) struct Told {
    orders: watch::Receiver<Orders>,
    change: Pin<Box<dyn Future<Output = ()>>>,
    pub(super) last: Orders,
    polled: bool,
    news: bool,
}

impl Told {
    pub(super) fn new(orders: watch::Receiver<Orders>) -> Self {
        let last = *orders.borrow();
        Self { change: next_change(&orders, last), orders, last, polled: false, news: last != Orders::Serve }
    }

    /// The orders now. The first look leaves a waker behind, which is the same for all that follow.
    pub(super) fn poll_now(&mut self, cx: &mut Context<'_>) -> Orders {
        let look = !self.polled || self.orders.has_changed().unwrap_or(true);
        self.polled = true;
        while look && self.last != Orders::Leave && self.change.as_mut().poll(cx).is_ready() {
            self.last = *self.orders.borrow_and_update();
            self.change = next_change(&self.orders, self.last);
            self.news = true;
        }
        self.last
    }

    /// True once after each change.
    pub(super) fn is_news(&mut self) -> bool {
        std::mem::take(&mut self.news)
    }
}

/// Ends when the orders are others than these, or nobody can give any more.
fn next_change(orders: &watch::Receiver<Orders>, last: Orders) -> Pin<Box<dyn Future<Output = ()>>> {
    let mut orders = orders.clone();
    Box::pin(async move {
        if orders.wait_for(|orders| *orders != last).await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

/// How long a client has to send its first request, or its next, when the program is to end.
pub(super) const NEWCOMER: Duration = Duration::from_secs(1);
