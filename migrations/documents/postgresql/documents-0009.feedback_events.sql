-- What users say about content and answers, as an append-only log.
-- depends: documents-0008.search_cache

-- Better fail than queue behind a long transaction, with all others waiting behind.
SET LOCAL lock_timeout = '5s';

CREATE TABLE feedback_events (
    event_id BIGINT GENERATED ALWAYS AS IDENTITY NOT NULL,
    feedback_type TEXT COLLATE "C" NOT NULL,
    content_id TEXT COLLATE "C", -- NULL: about a search as a whole, or the content was deleted
    query_hash TEXT COLLATE "C", -- the search that led here; its search_cache row may be long gone
    session_id TEXT COLLATE "C",
    rating BIGINT, -- 1 worst, 5 best; for feedback_type 'rating' only
    comment TEXT COLLATE "C",
    details JSONB NOT NULL DEFAULT '{}', -- JSON object
    created_at TIMESTAMPTZ NOT NULL DEFAULT statement_timestamp(),
    CONSTRAINT feedback_events_pk PRIMARY KEY (event_id),
    CONSTRAINT feedback_events_content_id_fk FOREIGN KEY (content_id)
    REFERENCES content_metadata (content_id) ON DELETE SET NULL ON UPDATE RESTRICT,
    CONSTRAINT feedback_events_feedback_type_known CHECK (
        feedback_type IN ('helpful', 'not_helpful', 'outdated', 'incorrect', 'rating')
    ),
    CONSTRAINT feedback_events_query_hash_shape CHECK (
        length(query_hash) = 64 AND query_hash !~ '[^0-9a-f]'
    ),
    CONSTRAINT feedback_events_session_id_length CHECK (length(session_id) BETWEEN 1 AND 200),
    CONSTRAINT feedback_events_rating_range CHECK (rating BETWEEN 1 AND 5),
    CONSTRAINT feedback_events_rating_only_if_rated CHECK ((rating IS NOT NULL) = (feedback_type = 'rating')),
    CONSTRAINT feedback_events_comment_length CHECK (length(comment) BETWEEN 1 AND 4000),
    CONSTRAINT feedback_events_details_json CHECK (jsonb_typeof(details) = 'object')
);

-- The feedback on one content in the order in which it came; also for the foreign key.
CREATE INDEX feedback_events_content_id_idx ON feedback_events (content_id, event_id);

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'documents-0009.feedback_events',
    'What users say about content and answers, as an append-only log.',
    'documents/postgresql/documents-0009.feedback_events.sql'
);
