-- Full-text search over the titles and texts of documents.
-- depends: documents-0006.document_chunks

-- Better fail than queue behind a long transaction, with all others waiting behind.
SET LOCAL lock_timeout = '5s';

-- The words of a text, in their order: cut at whatever is no letter and no digit, in lower case, accents
-- kept. A word of more than 64 letters is cut into pieces, marked as such, since an index entry has a
-- limit; a search cuts it alike. Neither the database's locale nor a C library's tables are asked, so that
-- words are the same on every server and the index outlives an upgrade of the system: a letter of a script
-- whose case is not listed here is found as it was written.
CREATE FUNCTION documents_words(words TEXT) RETURNS TEXT[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN string_to_array(
    btrim(
        regexp_replace(
            regexp_replace(
                CASE
                    -- Latin, Greek and Cyrillic capitals; slow, and so only where there may be some
                    WHEN words ~ '[\u00c0-\u00de\u0100-\u017d\u0386-\u03ab\u0400-\u042f\u0490\u1ea0-\u1ef8]'
                        THEN translate(
                            lower(words COLLATE "C"),
                            U&'\00c0\00c1\00c2\00c3\00c4\00c5\00c6\00c7\00c8\00c9\00ca\00cb\00cc\00cd'
                            '\00ce\00cf\00d0\00d1\00d2\00d3\00d4\00d5\00d6\00d8\00d9\00da\00db\00dc'
                            '\00dd\00de\0100\0102\0104\0106\0108\010a\010c\010e\0110\0112\0114\0116'
                            '\0118\011a\011c\011e\0120\0122\0124\0126\0128\012a\012c\012e\0132\0134'
                            '\0136\0139\013b\013d\013f\0141\0143\0145\0147\014a\014c\014e\0150\0152'
                            '\0154\0156\0158\015a\015c\015e\0160\0162\0164\0166\0168\016a\016c\016e'
                            '\0170\0172\0174\0176\0178\0179\017b\017d\0386\0388\0389\038a\038c\038e'
                            '\038f\0391\0392\0393\0394\0395\0396\0397\0398\0399\039a\039b\039c\039d'
                            '\039e\039f\03a0\03a1\03a3\03a4\03a5\03a6\03a7\03a8\03a9\03aa\03ab\0400'
                            '\0401\0402\0403\0404\0405\0406\0407\0408\0409\040a\040b\040c\040d\040e'
                            '\040f\0410\0411\0412\0413\0414\0415\0416\0417\0418\0419\041a\041b\041c'
                            '\041d\041e\041f\0420\0421\0422\0423\0424\0425\0426\0427\0428\0429\042a'
                            '\042b\042c\042d\042e\042f\0490\1ea0\1ea2\1ea4\1ea6\1ea8\1eaa\1eac\1eae'
                            '\1eb0\1eb2\1eb4\1eb6\1eb8\1eba\1ebc\1ebe\1ec0\1ec2\1ec4\1ec6\1ec8\1eca'
                            '\1ecc\1ece\1ed0\1ed2\1ed4\1ed6\1ed8\1eda\1edc\1ede\1ee0\1ee2\1ee4\1ee6'
                            '\1ee8\1eea\1eec\1eee\1ef0\1ef2\1ef4\1ef6\1ef8',
                            U&'\00e0\00e1\00e2\00e3\00e4\00e5\00e6\00e7\00e8\00e9\00ea\00eb\00ec\00ed'
                            '\00ee\00ef\00f0\00f1\00f2\00f3\00f4\00f5\00f6\00f8\00f9\00fa\00fb\00fc'
                            '\00fd\00fe\0101\0103\0105\0107\0109\010b\010d\010f\0111\0113\0115\0117'
                            '\0119\011b\011d\011f\0121\0123\0125\0127\0129\012b\012d\012f\0133\0135'
                            '\0137\013a\013c\013e\0140\0142\0144\0146\0148\014b\014d\014f\0151\0153'
                            '\0155\0157\0159\015b\015d\015f\0161\0163\0165\0167\0169\016b\016d\016f'
                            '\0171\0173\0175\0177\00ff\017a\017c\017e\03ac\03ad\03ae\03af\03cc\03cd'
                            '\03ce\03b1\03b2\03b3\03b4\03b5\03b6\03b7\03b8\03b9\03ba\03bb\03bc\03bd'
                            '\03be\03bf\03c0\03c1\03c3\03c4\03c5\03c6\03c7\03c8\03c9\03ca\03cb\0450'
                            '\0451\0452\0453\0454\0455\0456\0457\0458\0459\045a\045b\045c\045d\045e'
                            '\045f\0430\0431\0432\0433\0434\0435\0436\0437\0438\0439\043a\043b\043c'
                            '\043d\043e\043f\0440\0441\0442\0443\0444\0445\0446\0447\0448\0449\044a'
                            '\044b\044c\044d\044e\044f\0491\1ea1\1ea3\1ea5\1ea7\1ea9\1eab\1ead\1eaf'
                            '\1eb1\1eb3\1eb5\1eb7\1eb9\1ebb\1ebd\1ebf\1ec1\1ec3\1ec5\1ec7\1ec9\1ecb'
                            '\1ecd\1ecf\1ed1\1ed3\1ed5\1ed7\1ed9\1edb\1edd\1edf\1ee1\1ee3\1ee5\1ee7'
                            '\1ee9\1eeb\1eed\1eef\1ef1\1ef3\1ef5\1ef7\1ef9'
                        )
                    ELSE lower(words COLLATE "C")
                END,
                '[\u0001-/:-@[-`{-\u00a9\u00ab-\u00b1\u00b4\u00b6-\u00b8\u00bb\u00bf\u00d7\u00f7'
                '\u2000-\u206f\u20a0-\u20cf\u2190-\u245f\u2500-\u2775\u2794-\u2bff\u3000-\u3004\u3008-\u3020'
                '\u30fb\ufeff\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65\U0001f000-\U0001faff]+',
                ' ',
                'g'
            ),
            '([^ ]{64})(?=[^ ])',
            '\1- -',
            'g'
        )
    ),
    ' '
);

-- Whether each of the phrases, words with one space between, before and behind them, stands in the words of a
-- document. The cost is what keeps the planner with the index over the words: it cannot know how long they are.
CREATE FUNCTION documents_hold(words TEXT[], phrases TEXT[]) RETURNS BOOLEAN
LANGUAGE sql STABLE PARALLEL SAFE COST 10000
RETURN NOT EXISTS (
    SELECT 1
    FROM unnest(phrases) AS phrase
    WHERE strpos(concat(' ', array_to_string(words, ' '), ' '), phrase) = 0
);

-- The words of each document, the title's and then the text's; no word is `|`, so that no phrase reaches
-- from one into the other. Not a tsvector: that refuses a text with too many different words, forgets where
-- words stand after the 16,383rd, and its parser takes `docs.example.com` or `and/or` for one word.
ALTER TABLE documents
ADD COLUMN search_words TEXT[] COLLATE "C" NOT NULL
GENERATED ALWAYS AS (documents_words(title) || ARRAY['|'] || documents_words(full_content)) STORED;

-- The documents in which all words of a search occur.
CREATE INDEX documents_search_words_idx ON documents USING gin (search_words);

INSERT INTO schema_versions (version_id, description, migration_script)
VALUES (
    'documents-0007.document_search',
    'Full-text search over the titles and texts of documents.',
    'documents/postgresql/documents-0007.document_search.sql'
);
