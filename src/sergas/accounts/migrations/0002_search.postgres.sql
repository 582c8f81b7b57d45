-- Full text over what people wrote; days of product usage have no text.
CREATE INDEX activities_search ON activities
    USING gin (to_tsvector('simple', subject || ' ' || body))
    WHERE type <> 'product_usage';
