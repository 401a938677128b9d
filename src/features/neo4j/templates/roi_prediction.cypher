// Properties with their attributes and market, and sold ones kept as training data.
//
// Per property: how many deals it had, how old the newest is, and the mean price of the other properties of its market.
MATCH (p:Property {tenantId: $tenantId})
OPTIONAL MATCH (p)-[:LOCATED_IN]->(m:Market {tenantId: $tenantId})
WITH p, head(collect(m)) AS market
OPTIONAL MATCH (p)-[:HAS_DEAL]->(d:Deal {tenantId: $tenantId})
WITH p, market, count(d) AS deals, max(d.closedOn) AS newest
WITH market, sum(p.purchasePrice) AS total, count(p.purchasePrice) AS known,
     collect({node: p, deals: deals, newest: newest}) AS members
UNWIND members AS member
WITH market, total, known, member.node AS p, member.deals AS deals, member.newest AS newest
RETURN p.entityId AS entity_id,
       p.purchasePrice AS purchase_price,
       p.annualRevenue AS annual_revenue,
       p.operatingExpenses AS operating_expenses,
       p.propertyType AS property_type,
       market.growthRate AS market_growth_rate,
       deals AS deal_count,
       duration.inDays(newest, $today).days AS newest_deal_age_days,
       CASE WHEN market IS NULL OR known < 2 OR p.purchasePrice IS NULL THEN null
            ELSE (total - p.purchasePrice) / toFloat(known - 1) END AS market_mean_purchase_price,
       null AS roi
UNION ALL
MATCH (t:TrainingData {tenantId: $tenantId, model_type: 'roi_prediction'})
RETURN coalesce(t.entity_id, 'training-data-' + elementId(t)) AS entity_id,
       t.purchase_price AS purchase_price,
       t.annual_revenue AS annual_revenue,
       t.operating_expenses AS operating_expenses,
       t.property_type AS property_type,
       t.market_growth_rate AS market_growth_rate,
       null AS deal_count,
       null AS newest_deal_age_days,
       null AS market_mean_purchase_price,
       coalesce(t.actual_roi, t.roi) AS roi
