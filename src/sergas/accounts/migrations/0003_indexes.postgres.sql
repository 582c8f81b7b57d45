-- What the query optimizer advises for the mix of sergas.accounts.workload; the evaluation that says
-- so, and what each is worth, is tools/evaluation/account_indexes.py.
CREATE INDEX activities_account_id_created_at_type ON activities (account_id, created_at, type);
CREATE INDEX accounts_updated_at_id ON accounts (updated_at, id);
CREATE INDEX accounts_last_activity_at ON accounts (last_activity_at);
CREATE INDEX accounts_owner_id_updated_at ON accounts (owner_id, updated_at);
CREATE INDEX activities_account_id_status_type ON activities (account_id, status, type);
CREATE INDEX accounts_name_id ON accounts (name, id);
CREATE INDEX accounts_health_score_id ON accounts (health_score, id);
CREATE INDEX recommendations_account_id ON recommendations (account_id);
CREATE INDEX accounts_id_churn_risk ON accounts (id, churn_risk);
CREATE INDEX accounts_risk_level ON accounts (risk_level);
CREATE INDEX accounts_churn_risk ON accounts (churn_risk);
CREATE INDEX deals_stage ON deals (stage);
-- The audit grows for as long as the service is used, which no recorded day shows.
CREATE INDEX audit_account_id_id ON audit (account_id, id);
