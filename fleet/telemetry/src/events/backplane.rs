//! The backplane on Redis.

crate::catalogue! {
    UP: GaugeBy(
        "huizhen_backplane_up",
        "link",
        &["listening", "asking"],
        "1 while the connection to Redis stands, else 0",
    );
    SUBSCRIPTIONS: Gauge(
        "huizhen_backplane_subscriptions",
        "Channels that this process is subscribed to",
    );
    CONNECTIONS: CounterBy(
        "huizhen_backplane_connections_total",
        "link",
        &["listening", "asking"],
        "Connections made to Redis; one that is cut is made again",
    );
    PUBLISHED: Counter(
        "huizhen_backplane_published_total",
        "Publications handed to Redis",
    );
    RECEIVED: Counter(
        "huizhen_backplane_received_total",
        "Publications that came from Redis",
    );
    LOST: CounterBy(
        "huizhen_backplane_lost_total",
        "why",
        &["away", "full", "moved", "slow", "unsealed"],
        "Publications that were let go and are made good by comparing with the database",
    );
    REFUSED: Counter(
        "huizhen_backplane_refused_total",
        "Commands that Redis refused",
    );
    FORGED: CounterBy(
        "huizhen_backplane_forged_total",
        "what",
        &["publication", "password", "login", "node"],
        "Records and publications in Redis that were not made with this fleet's key, and were ignored",
    );
    EMPTIED: Counter(
        "huizhen_backplane_emptied_total",
        "Times that Redis was found empty and what it held was put back",
    );
    RESUMED: Counter(
        "huizhen_backplane_resumed_total",
        "Times that everything was subscribed to again",
    );
}
