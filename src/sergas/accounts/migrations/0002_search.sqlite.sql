-- Full text over what people wrote; days of product usage have no text. The index keeps no copy.
CREATE VIEW activity_texts AS
    SELECT id, subject, body FROM activities WHERE type <> 'product_usage';

CREATE VIRTUAL TABLE activity_search USING fts5 (
    subject, body, content = 'activity_texts', content_rowid = 'id', tokenize = 'unicode61'
);

CREATE TRIGGER activity_search_insert AFTER INSERT ON activities
WHEN new.type <> 'product_usage'
BEGIN
    INSERT INTO activity_search (rowid, subject, body) VALUES (new.id, new.subject, new.body);
END;

CREATE TRIGGER activity_search_delete AFTER DELETE ON activities
WHEN old.type <> 'product_usage'
BEGIN
    INSERT INTO activity_search (activity_search, rowid, subject, body)
    VALUES ('delete', old.id, old.subject, old.body);
END;

CREATE TRIGGER activity_search_update AFTER UPDATE OF subject, body ON activities
WHEN old.type <> 'product_usage'
BEGIN
    INSERT INTO activity_search (activity_search, rowid, subject, body)
    VALUES ('delete', old.id, old.subject, old.body);
    INSERT INTO activity_search (rowid, subject, body) VALUES (new.id, new.subject, new.body);
END;
