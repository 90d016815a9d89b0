-- Full-text search over the titles and texts of documents.
-- depends: documents-0006.document_chunks

-- What the full-text index reads: title and text in lower case, `_` as a space (the index takes it for a
-- letter), and a z inside of whatever could be one of the index's stopwords: about, are, com, for, from, how,
-- that, the, this, und, was, what, when, where, who, will, with, www. Nothing is a stopword then, whatever
-- innodb_ft_enable_stopword says when this index is made, or made again by a restore; a stopword table of
-- one's own would still count. A search spells its words in the same way.
ALTER TABLE documents
ADD COLUMN search_words LONGTEXT GENERATED ALWAYS AS (
    replace(replace(replace(replace(replace(replace(replace(replace(
        replace(lower(concat(title, ' ', full_content)), '_', ' '),
        'w', 'wz'
    ), 'th', 'thz'), 'bou', 'bouz'), 'are', 'arez'),
    'com', 'comz'), 'for', 'forz'), 'fro', 'froz'), 'und', 'undz')
) STORED,
ADD FULLTEXT INDEX documents_search_words_idx (search_words);

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'documents-0007.document_search',
    'Full-text search over the titles and texts of documents.',
    'documents/mysql/documents-0007.document_search.sql'
);
