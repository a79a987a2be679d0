"""Generator and discriminator pairs, sized by arguments."""
