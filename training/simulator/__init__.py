"""A believable B2B CRM with a known truth behind every lead."""
