-- The words in braces are filled in by the store: how activities and deals are partitioned.
CREATE TABLE owners (
    id text PRIMARY KEY,
    name text NOT NULL,
    email text NOT NULL
);

CREATE TABLE accounts (
    id text PRIMARY KEY,
    name text COLLATE "C" NOT NULL,
    owner_id text NOT NULL,
    number text NOT NULL,
    type text NOT NULL,
    status text NOT NULL,
    email text,
    email_secondary text,
    phone text NOT NULL,
    website text NOT NULL,
    billing_address json NOT NULL,
    shipping_address json NOT NULL,
    annual_revenue bigint NOT NULL,
    credit_limit bigint NOT NULL,
    payment_terms text NOT NULL,
    currency text NOT NULL,
    industry text NOT NULL,
    employee_count integer NOT NULL,
    tax_id text NOT NULL,
    parent_account_id text,
    rating text NOT NULL,
    health_score smallint NOT NULL,
    churn_risk smallint NOT NULL,
    risk_level text NOT NULL,
    nps smallint NOT NULL,
    tags json NOT NULL,
    custom_fields json NOT NULL,
    last_activity_at timestamptz,
    last_synced_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL
);

CREATE TABLE deals (
    id text NOT NULL,
    account_id text NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    name text NOT NULL,
    amount bigint NOT NULL,
    stage text NOT NULL,
    probability smallint NOT NULL,
    type text NOT NULL,
    lead_source text NOT NULL,
    loss_reason text,
    owner_id text NOT NULL,
    created_at timestamptz NOT NULL,
    closing_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, id)
) {partitioned};

CREATE TABLE activities (
    id bigint NOT NULL,
    account_id text NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    type text NOT NULL,
    status text NOT NULL,
    subject text NOT NULL,
    body text NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    logins integer,
    unique_users integer,
    session_minutes integer,
    api_calls integer,
    errors integer,
    PRIMARY KEY (account_id, id)
) {partitioned};

CREATE TABLE recommendations (
    id text PRIMARY KEY,
    account_id text NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    type text NOT NULL,
    priority text NOT NULL,
    confidence double precision NOT NULL,
    action text NOT NULL,
    rationale text NOT NULL,
    status text NOT NULL,
    approved_by text,
    approved_at timestamptz,
    created_at timestamptz NOT NULL
);

CREATE TABLE audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id text NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    details json NOT NULL,
    created_at timestamptz NOT NULL
);

{partitions}
