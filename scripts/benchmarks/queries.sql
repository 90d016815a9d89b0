-- What the benchmark asks of `dal`. The other contenders get the same texts in their own form, see work.py.

-- name: item_by_id(item_id: int) :one
-- returns: Item
-- session: clean
SELECT item_id, code, name, quantity, price, note FROM item WHERE item_id = :item_id;

-- name: items_from(first_id: int, row_count: int) :many
-- returns: Item
-- session: clean
SELECT item_id, code, name, quantity, price, note FROM item
WHERE item_id >= :first_id ORDER BY item_id LIMIT :row_count;

-- name: add_written(item_id: int, code: text, name: text, quantity: int, price: float, note: text) :affected
-- session: clean
INSERT INTO written (item_id, code, name, quantity, price, note)
VALUES (:item_id, :code, :name, :quantity, :price, :note);

-- name: add_all_written(item_id: int, code: text, name: text, quantity: int, price: float, note: text) :batch
-- session: clean
INSERT INTO written (item_id, code, name, quantity, price, note)
VALUES (:item_id, :code, :name, :quantity, :price, :note);

-- name: set_quantity(item_id: int, quantity: int) :affected
-- session: clean
UPDATE counted SET quantity = :quantity WHERE item_id = :item_id;
