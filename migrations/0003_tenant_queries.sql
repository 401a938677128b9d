-- The tenant's own SELECT (training_data_query). A statement that a user wrote can set any custom
-- setting, so app.tenant_id proves nothing there. What proves the tenant is a signature over tenant, server
-- process and time, whose key no login can read: see src/storage/query_login.rs, which makes the
-- login, its policies and its grants (a role's name has no place in a file).

CREATE SCHEMA sec;
REVOKE ALL ON SCHEMA sec FROM PUBLIC;

-- HMAC-SHA256 (RFC 2104) by sha256(bytea) alone, so that no extension is needed: the key is kept
-- as its two paddings of 64 bytes, key XOR 0x36.. and key XOR 0x5c...
CREATE TABLE sec.signing_key (
    only_one  boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    inner_pad bytea NOT NULL CHECK (length(inner_pad) = 64),
    outer_pad bytea NOT NULL CHECK (length(outer_pad) = 64)
);
REVOKE ALL ON sec.signing_key FROM PUBLIC;

-- gen_random_uuid() draws 122 bits each from the server's strong generator.
INSERT INTO sec.signing_key (inner_pad, outer_pad)
SELECT decode(string_agg(lpad(to_hex(get_byte(key, i) # 54), 2, '0'), '' ORDER BY i) || repeat('36', 32), 'hex'),
       decode(string_agg(lpad(to_hex(get_byte(key, i) # 92), 2, '0'), '' ORDER BY i) || repeat('5c', 32), 'hex')
  FROM (SELECT sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))
               AS key) AS fresh,
       generate_series(0, 31) AS i
 GROUP BY key;

CREATE FUNCTION sec.hmac(message text) RETURNS text
    LANGUAGE sql STABLE STRICT PARALLEL RESTRICTED SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    RETURN (SELECT encode(sha256(outer_pad || sha256(inner_pad || convert_to(message, 'UTF8'))), 'hex')
              FROM sec.signing_key);

-- The setting app.sig for a transaction of `tenant` on the server process `pid`: '<expiry>.<hmac>'.
CREATE FUNCTION sec.sign_tenant(tenant uuid, pid integer, seconds integer) RETURNS text
    LANGUAGE plpgsql STABLE STRICT PARALLEL RESTRICTED SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    expiry text := ceil(extract(epoch FROM clock_timestamp()))::bigint + seconds;
BEGIN
    RETURN expiry || '.' || sec.hmac(tenant || ':' || pid || ':' || expiry);
END $$;

-- The tenant that this transaction may read; NULL, which no row has, unless the signature is the
-- service's, was made for this server process and has not run out. Restricted to the leader of a
-- parallel query: a worker has another process id. Both sides are hashed under the key before they are
-- compared, so that the time of the comparison tells nothing about the right one.
CREATE FUNCTION sec.verified_tenant() RETURNS uuid
    LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tenant text := current_setting('app.tenant', true);
    signed text := current_setting('app.sig', true);
    expiry text;
BEGIN
    IF tenant IS NULL OR signed IS NULL
       OR tenant !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' OR signed !~ '^[0-9]{1,12}[.][0-9a-f]{64}$' THEN
        RETURN NULL;
    END IF;
    expiry := split_part(signed, '.', 1);
    IF sec.hmac('compare:' || split_part(signed, '.', 2))
       <> sec.hmac('compare:' || sec.hmac(tenant || ':' || pg_backend_pid() || ':' || expiry)) THEN
        RETURN NULL;
    END IF;
    IF expiry::bigint < extract(epoch FROM clock_timestamp()) THEN
        RETURN NULL;
    END IF;
    RETURN tenant::uuid;
END $$;

REVOKE ALL ON FUNCTION sec.hmac(text), sec.sign_tenant(uuid, integer, integer), sec.verified_tenant() FROM PUBLIC;
