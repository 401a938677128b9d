-- Fingerprint of the rows that a model was trained on (SHA-256, hexadecimal): two versions with the
-- same one saw the same rows. NULL for older models and for rows that the platform inserts.
ALTER TABLE ml_models
    ADD COLUMN IF NOT EXISTS data_digest text;
