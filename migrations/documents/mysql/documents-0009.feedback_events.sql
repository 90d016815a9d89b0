-- What users say about content and answers, as an append-only log.
-- depends: documents-0008.search_cache

CREATE TABLE feedback_events (
    event_id BIGINT NOT NULL AUTO_INCREMENT,
    feedback_type VARCHAR(255) NOT NULL,
    content_id VARCHAR(255), -- NULL: about a search as a whole, or the content was deleted
    query_hash VARCHAR(255), -- the search that led here; its search_cache row may be long gone
    session_id VARCHAR(255),
    rating BIGINT, -- 1 worst, 5 best; for feedback_type 'rating' only
    comment TEXT,
    details LONGTEXT NOT NULL DEFAULT '{}', -- JSON object
    created_at DATETIME(6) NOT NULL DEFAULT (utc_timestamp(6)),
    CONSTRAINT feedback_events_pk PRIMARY KEY (event_id),
    CONSTRAINT feedback_events_content_id_fk FOREIGN KEY (content_id)
    REFERENCES content_metadata (content_id) ON DELETE SET NULL ON UPDATE RESTRICT,
    CONSTRAINT feedback_events_feedback_type_known CHECK (
        feedback_type IN ('helpful', 'not_helpful', 'outdated', 'incorrect', 'rating')
    ),
    CONSTRAINT feedback_events_query_hash_shape CHECK (
        char_length(query_hash) = 64 AND query_hash NOT REGEXP '[^0-9a-f]'
    ),
    CONSTRAINT feedback_events_session_id_length CHECK (char_length(session_id) BETWEEN 1 AND 200),
    CONSTRAINT feedback_events_rating_range CHECK (rating BETWEEN 1 AND 5),
    CONSTRAINT feedback_events_rating_only_if_rated CHECK ((rating IS NOT NULL) = (feedback_type = 'rating')),
    CONSTRAINT feedback_events_comment_length CHECK (char_length(comment) BETWEEN 1 AND 4000),
    CONSTRAINT feedback_events_details_json CHECK (json_valid(details) AND json_type(details) = 'OBJECT'),
    -- The feedback on one content in the order in which it came; also for the foreign key.
    INDEX feedback_events_content_id_idx (content_id, event_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_nopad_bin;

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'documents-0009.feedback_events',
    'What users say about content and answers, as an append-only log.',
    'documents/mysql/documents-0009.feedback_events.sql'
);
