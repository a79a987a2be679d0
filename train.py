"""python train.py model=dcgan data=digits key=value …; python train.py --help."""

import sys

from lit_gans.configs.main import main

if __name__ == "__main__":
    sys.exit(main())
