-- What the query optimizer advises for the mix of sergas.accounts.workload; the evaluation that says
-- so, and what each is worth, is tools/evaluation/account_indexes.py.
CREATE INDEX activities_account_id_status_type ON activities (account_id, status, type);
CREATE INDEX deals_account_id_amount ON deals (account_id, amount);
CREATE INDEX accounts_updated_at_id_risk_level ON accounts (updated_at, id, risk_level);
CREATE INDEX accounts_owner_id_health_score_id ON accounts (owner_id, health_score, id);
CREATE INDEX deals_stage_amount_probability ON deals (stage, amount, probability);
CREATE INDEX accounts_name_id_risk_level ON accounts (name, id, risk_level);
CREATE INDEX deals_owner_id_stage ON deals (owner_id, stage);
CREATE INDEX accounts_health_score_id ON accounts (health_score, id);
CREATE INDEX recommendations_account_id ON recommendations (account_id);
CREATE INDEX accounts_risk_level_health_score_id ON accounts (risk_level, health_score, id);
CREATE INDEX activities_status_account_id_created_at ON activities (status, account_id, created_at);
CREATE INDEX accounts_churn_risk ON accounts (churn_risk);
CREATE INDEX accounts_industry_annual_revenue ON accounts (industry, annual_revenue);
-- The audit grows for as long as the service is used, which no recorded day shows.
CREATE INDEX audit_account_id_id ON audit (account_id, id);
