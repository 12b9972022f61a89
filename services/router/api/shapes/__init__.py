"""What the API answers with: one struct a shape, by resource; and how an answer is made of one."""
