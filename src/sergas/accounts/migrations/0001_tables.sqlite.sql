-- Times are microseconds since 1970 in UTC, booleans and scores are integers, lists are JSON.
CREATE TABLE owners (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    email TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE accounts (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    owner_id TEXT NOT NULL,
    number TEXT NOT NULL,
    type TEXT NOT NULL,
    status TEXT NOT NULL,
    email TEXT,
    email_secondary TEXT,
    phone TEXT NOT NULL,
    website TEXT NOT NULL,
    billing_address TEXT NOT NULL,
    shipping_address TEXT NOT NULL,
    annual_revenue INTEGER NOT NULL,
    credit_limit INTEGER NOT NULL,
    payment_terms TEXT NOT NULL,
    currency TEXT NOT NULL,
    industry TEXT NOT NULL,
    employee_count INTEGER NOT NULL,
    tax_id TEXT NOT NULL,
    parent_account_id TEXT,
    rating TEXT NOT NULL,
    health_score INTEGER NOT NULL,
    churn_risk INTEGER NOT NULL,
    risk_level TEXT NOT NULL,
    nps INTEGER NOT NULL,
    tags TEXT NOT NULL,
    custom_fields TEXT NOT NULL,
    last_activity_at INTEGER,
    last_synced_at INTEGER,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    version INTEGER NOT NULL
);

CREATE TABLE deals (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    amount INTEGER NOT NULL,
    stage TEXT NOT NULL,
    probability INTEGER NOT NULL,
    type TEXT NOT NULL,
    lead_source TEXT NOT NULL,
    loss_reason TEXT,
    owner_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    closing_at INTEGER NOT NULL
);

CREATE TABLE activities (
    id INTEGER PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    type TEXT NOT NULL,
    status TEXT NOT NULL,
    subject TEXT NOT NULL,
    body TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    logins INTEGER,
    unique_users INTEGER,
    session_minutes INTEGER,
    api_calls INTEGER,
    errors INTEGER
);

CREATE TABLE recommendations (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    type TEXT NOT NULL,
    priority TEXT NOT NULL,
    confidence REAL NOT NULL,
    action TEXT NOT NULL,
    rationale TEXT NOT NULL,
    status TEXT NOT NULL,
    approved_by TEXT,
    approved_at INTEGER,
    created_at INTEGER NOT NULL
);

CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    account_id TEXT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    details TEXT NOT NULL,
    created_at INTEGER NOT NULL
);
