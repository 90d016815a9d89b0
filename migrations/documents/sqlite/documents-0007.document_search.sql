-- Full-text search over the titles and texts of documents.
-- depends: documents-0006.document_chunks

CREATE VIRTUAL TABLE document_search USING fts5 (
    title,
    full_content,
    content = 'documents',
    content_rowid = 'document_number',
    tokenize = 'unicode61 remove_diacritics 0'
);

CREATE TRIGGER documents_search_insert
AFTER INSERT ON documents
BEGIN
    INSERT INTO document_search (rowid, title, full_content)
    VALUES (new.document_number, new.title, new.full_content);
END;

CREATE TRIGGER documents_search_update
AFTER UPDATE OF document_number, title, full_content ON documents
BEGIN
    INSERT INTO document_search (document_search, rowid, title, full_content)
    VALUES ('delete', old.document_number, old.title, old.full_content);
    INSERT INTO document_search (rowid, title, full_content)
    VALUES (new.document_number, new.title, new.full_content);
END;

CREATE TRIGGER documents_search_delete
AFTER DELETE ON documents
BEGIN
    INSERT INTO document_search (document_search, rowid, title, full_content)
    VALUES ('delete', old.document_number, old.title, old.full_content);
END;

-- The documents that are there already.
INSERT INTO document_search (document_search) VALUES ('rebuild');

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'documents-0007.document_search',
    'Full-text search over the titles and texts of documents.',
    'documents/sqlite/documents-0007.document_search.sql'
);
